//! What the sampler itself costs: `cargo run --example sampler_cost [instances] [descriptors] [seconds]`.
//!
//! Starts real processes that each hold many connections to themselves over loopback, puts each in cgroups of its own
//! where that is allowed, samples them every 250 ms as a trial would, and prints the CPU of the sampler's thread as a
//! share of one core. More than 2 % with the defaults (8 instances, 1000 descriptors, 10 s) ends with exit code 1.

use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use wsceiling_machine::cgroup::cgroup_of_pid;
use wsceiling_machine::environment::capture;
use wsceiling_machine::sample::{Sampled, Sampler, Watch};
use wsceiling_model::record::{Component, Metric};

const EVERY: Duration = Duration::from_millis(250);
const ALLOWED_PERCENT: f64 = 2.0;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "--hold") {
        hold(arguments.get(1).and_then(|count| count.parse().ok()).unwrap_or(1000));
        return ExitCode::SUCCESS;
    }
    let number = |index: usize, default| arguments.get(index).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (instances, descriptors, seconds) = (number(0, 8), number(1, 1000), number(2, 10));
    match measure(instances as u32, descriptors, Duration::from_secs(seconds)) {
        Ok(percent) if percent <= ALLOWED_PERCENT => ExitCode::SUCCESS,
        Ok(percent) => {
            eprintln!("the sampler used {percent:.2} % of a core, more than {ALLOWED_PERCENT} %");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("failed to measure: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The child: holds connections to its own listener until its standard input ends.
fn hold(descriptors: usize) {
    let Ok(listener) = TcpListener::bind("127.0.0.1:0") else { return };
    let Ok(address) = listener.local_addr() else { return };
    let mut held = Vec::new();
    while held.len() + 8 < descriptors {
        let (Ok(client), Ok((server, _))) = (TcpStream::connect(address), listener.accept()) else { break };
        held.extend([client, server]);
    }
    println!("{}", address.port());
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

/// A child with its cgroups; both end with it.
struct Instance {
    child: Child,
    port: u16,
    folders: Vec<PathBuf>,
}

impl Instance {
    fn start(index: u32, descriptors: u64) -> std::io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--hold", &descriptors.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut instance = Self { child: command.spawn()?, port: 0, folders: Vec::new() };
        let mut line = String::new();
        if let Some(output) = &mut instance.child.stdout {
            BufReader::new(output).read_line(&mut line)?;
        }
        instance.port = line.trim().parse().unwrap_or(0);
        instance.enter_cgroups(index);
        Ok(instance)
    }

    /// Version 1 and hybrid; elsewhere the process stays where it is and is sampled through `/proc`.
    fn enter_cgroups(&mut self, index: u32) {
        for controller in ["cpu", "cpuacct", "memory", "pids", "unified"] {
            let hierarchy = PathBuf::from("/sys/fs/cgroup").join(controller);
            let folder = hierarchy.join(format!("wsceiling-cost-{}-{index}", std::process::id()));
            if hierarchy.is_dir() && std::fs::create_dir(&folder).is_ok() {
                let _ = std::fs::write(folder.join("cgroup.procs"), self.child.id().to_string());
                self.folders.push(folder);
            }
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for folder in &self.folders {
            // The kernel takes a moment to see that the group is empty.
            let _ = (0..50).find(|_| {
                let removed = std::fs::remove_dir(folder).is_ok();
                std::thread::sleep(Duration::from_millis(if removed { 0 } else { 20 }));
                removed
            });
        }
    }
}

fn measure(count: u32, descriptors: u64, length: Duration) -> std::io::Result<f64> {
    let instances: Vec<Instance> =
        (0..count).map(|index| Instance::start(index, descriptors)).collect::<Result<_, _>>()?;
    let watch = |(instance, index): (&Instance, u32)| Watch {
        component: Component::Instance(index),
        pids: vec![instance.child.id()],
        cgroup: cgroup_of_pid(instance.child.id()),
        more: vec![],
        listens_on: Some(instance.port),
        front: None,
    };
    let watches = instances.iter().zip(0..).map(watch).collect();
    let begin = Instant::now();
    let sampler = Sampler::start(EVERY, begin, watches);
    std::thread::sleep(length);
    let result = sampler.stop().map_err(std::io::Error::other)?;
    let elapsed = begin.elapsed();
    drop(instances);
    let own_cpu = result.own_cpu.ok_or_else(|| std::io::Error::other("the clock of the thread cannot be read"))?;
    let percent = own_cpu.as_secs_f64() / elapsed.as_secs_f64() * 100.0;
    print(&result, elapsed, percent);
    Ok(percent)
}

fn print(result: &Sampled, elapsed: Duration, percent: f64) {
    let facts = capture().facts;
    let fact = |name: &str| facts.get(name).map_or("unknown", String::as_str);
    println!("machine: {}, {} cores, kernel {}", fact("cpu.model"), fact("cpu.cores"), fact("kernel.release"));
    println!("cgroup: {}; opt-level {}", fact("cgroup.version"), fact("toolchain.opt_level"));
    let mut of_first = result.samples.iter().filter(|sample| sample.component == Component::Instance(0));
    let beats = of_first.clone().count();
    if let Some(last) = of_first.next_back() {
        let value = |metric| last.values.iter().find(|(known, _)| *known == metric).map(|(_, value)| *value);
        println!("numbers of an instance: {}, descriptors {:?}", last.values.len(), value(Metric::Descriptors));
    }
    let rows = result.samples.len();
    println!("beats: {beats} in {:.1} s, rows: {rows}", elapsed.as_secs_f64());
    println!(
        "sampler: {percent:.2} % of a core, {:.0} us a row",
        percent / 100.0 * elapsed.as_micros() as f64 / rows as f64
    );
}
