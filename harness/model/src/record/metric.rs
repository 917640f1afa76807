//! Every number that is sampled: its name in `samples.csv`, its unit and what it counts.

use crate::format::Unit;

/// Declares [`Metric`] with its names, so that a metric and its column cannot drift apart.
macro_rules! metrics {
    ($($variant:ident = $name:literal, $unit:ident, $doc:literal;)*) => {
        /// A sampled number. Its name ends with its unit; `total` counters only rise.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Metric { $(#[doc = $doc] $variant,)* }

        impl Metric {
            /// All metrics, in the order of the columns of `samples.csv`.
            pub const ALL: &'static [Metric] = &[$(Metric::$variant,)*];

            /// The column's name.
            pub const fn name(self) -> &'static str {
                match self { $(Metric::$variant => $name,)* }
            }

            /// What it counts.
            pub const fn unit(self) -> Unit {
                match self { $(Metric::$variant => Unit::$unit,)* }
            }

            /// What the number is, for the record's documentation.
            pub const fn describe(self) -> &'static str {
                match self { $(Metric::$variant => $doc,)* }
            }

            /// The metric of a column's name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Metric::$variant),)* _ => None }
            }
        }
    };
}

metrics! {
    CpuUsage = "cpu_usage_us_total", Micros, "CPU time used, user and system, by the component's cgroup or processes";
    CpuThrottled = "cpu_throttled_us_total", Micros, "time the cgroup was throttled by its CPU quota";
    CpuPeriods = "cpu_periods_total", Count, "enforcement periods of the CPU quota that have elapsed";
    CpuThrottledPeriods = "cpu_throttled_periods_total", Count, "enforcement periods in which the cgroup ran out of quota";
    BusiestThread = "busiest_thread_cpu_ratio", Share, "CPU of the component's busiest thread since the last sample, 1 is one whole core";
    MemoryCurrent = "memory_current_bytes", Bytes, "memory charged to the cgroup, or resident and shared memory where only /proc is there";
    MemoryAnon = "memory_anon_bytes", Bytes, "anonymous memory: heaps and stacks";
    MemorySock = "memory_sock_bytes", Bytes, "socket buffers charged to the cgroup (v1: only with kmem.tcp accounting)";
    MemoryKernel = "memory_kernel_bytes", Bytes, "kernel memory charged to the cgroup: sockets' structures, descriptors, page tables";
    MemoryFile = "memory_file_bytes", Bytes, "page cache charged to the cgroup";
    OomKills = "oom_kills_total", Count, "processes of the cgroup that the kernel killed for memory";
    MemoryHighEvents = "memory_high_events_total", Count, "times the cgroup was throttled for exceeding memory.high (v2)";
    Pids = "pids_count", Count, "processes and threads of the component";
    PidsMaxEvents = "pids_max_events_total", Count, "forks refused by pids.max";
    Descriptors = "descriptors_count", Count, "open descriptors, largest over the component's processes";
    DescriptorLimit = "descriptors_limit", Count, "soft limit of open descriptors of that process";
    PsiCpuSome = "psi_cpu_some_avg10_percent", Percent, "share of the last 10 s in which some task waited for CPU";
    PsiMemoryFull = "psi_memory_full_avg10_percent", Percent, "share of the last 10 s in which all tasks waited for memory";
    ListenQueue = "listen_queue_count", Count, "connections waiting in the accept queue of the target's listening socket";
    ListenBacklog = "listen_backlog_limit", Count, "length of that queue at which the kernel drops: min(backlog, somaxconn)";
    ListenOverflows = "listen_overflows_total", Count, "TcpExt ListenOverflows in the component's network namespace";
    ListenDrops = "listen_drops_total", Count, "TcpExt ListenDrops in the component's network namespace";
    SynRetransmits = "syn_retransmits_total", Count, "TcpExt TCPSynRetrans in the component's network namespace";
    ReqQFullDrops = "req_q_full_drops_total", Count, "TcpExt TCPReqQFullDrop in the component's network namespace";
    ReqQFullCookies = "req_q_full_cookies_total", Count, "TcpExt TCPReqQFullDoCookies in the component's network namespace";
    AbortOnMemory = "abort_on_memory_total", Count, "TcpExt TCPAbortOnMemory in the component's network namespace";
    MemoryPressures = "tcp_memory_pressures_total", Count, "TcpExt TCPMemoryPressures in the component's network namespace";
    RcvQDrops = "rcv_q_drops_total", Count, "TcpExt TCPRcvQDrop in the component's network namespace";
    PassiveOpens = "passive_opens_total", Count, "Tcp PassiveOpens in the component's network namespace";
    ActiveOpens = "active_opens_total", Count, "Tcp ActiveOpens in the component's network namespace";
    OutRsts = "out_rsts_total", Count, "Tcp OutRsts in the component's network namespace";
    Established = "established_count", Count, "Tcp CurrEstab in the component's network namespace";
    SocketsInUse = "sockets_tcp_inuse_count", Count, "sockstat TCP inuse in the component's network namespace";
    SocketsTimeWait = "sockets_tcp_tw_count", Count, "sockstat TCP tw in the component's network namespace";
    SocketsOrphan = "sockets_tcp_orphan_count", Count, "sockstat TCP orphan, whole machine";
    SocketsMemory = "sockets_tcp_mem_pages", Pages, "sockstat TCP mem, whole machine, in pages";
    ConntrackCount = "conntrack_count", Count, "entries of the connection tracking table of the namespace";
    ConntrackDrops = "conntrack_drop_total", Count, "packets dropped because the table was full or an insertion clashed";
    ConntrackInsertFailed = "conntrack_insert_failed_total", Count, "entries that could not be inserted because the tuple was taken";
    HostIdle = "host_idle_us_total", Micros, "time all CPUs of the machine were idle, summed over CPUs";
    HostSteal = "host_steal_us_total", Micros, "time the hypervisor ran something else, summed over CPUs";
    HostBusy = "host_busy_us_total", Micros, "time all CPUs of the machine were busy, summed over CPUs";
    HostMemoryAvailable = "host_memory_available_bytes", Bytes, "memory the machine could still give without swapping";
    HostOomKills = "host_oom_kills_total", Count, "vmstat oom_kill, whole machine";
    HostDescriptors = "host_descriptors_count", Count, "file-nr, descriptors allocated on the whole machine";
    Open = "open_count", Count, "generator: connections whose upgrade succeeded and that are still open";
    Held = "held_count", Count, "generator: open connections whose last message came back";
    Due = "due_total", Count, "generator: connects that the schedule has asked for";
    Issued = "issued_total", Count, "generator: connects that were issued";
    Failed = "failed_total", Count, "generator: connects that failed at any stage";
    Lost = "lost_total", Count, "generator: open connections that were lost without the generator closing them";
    Lag = "loop_lag_us", Micros, "generator: largest delay of the loop behind its schedule since the last sample";
    MemoryPeak = "memory_peak_bytes", Bytes, "largest memory ever charged to the cgroup, also between two samples";
    StoppedProcesses = "stopped_processes_count", Count, "processes of the component that are stopped or in uninterruptible sleep";
    SoftnetDrops = "softnet_drops_total", Count, "packets dropped because a CPU's receive backlog was full";
    MemoryLimitHits = "memory_limit_hits_total", Count, "times the cgroup's memory met its limit and something had to be taken back (v1 failcnt, v2 max)";
    MajorFaults = "major_faults_total", Count, "page faults of the cgroup that had to read from the disk: code and files that were taken back";
    NeighbourTableFulls = "neighbour_table_fulls_total", Count, "neighbour entries refused because the table was full";
    PairEstablished = "pair_established_max_count", Count, "front: established connections of its fullest pair of a source address and a destination it connects to";
    PairPorts = "pair_ports_limit", Count, "front: source ports that one such pair has";
    UpstreamEstablished = "upstream_established_count", Count, "front: established connections to all its destinations together";
    FrontConnections = "front_connections_count", Count, "haproxy CurrConns: connections of the whole process that count against its maxconn";
    FrontConnectionsLimit = "front_connections_limit", Count, "haproxy Maxconn: that limit";
    FrontSessions = "front_sessions_count", Count, "haproxy scur of the frontend: its sessions";
    FrontSessionsLimit = "front_sessions_limit", Count, "haproxy slim of the frontend: its maxconn";
    FrontServerSessions = "front_server_sessions_count", Count, "haproxy scur of the server nearest to its limit";
    FrontServerSessionsLimit = "front_server_sessions_limit", Count, "haproxy slim of that server";
    FrontQueue = "front_queue_count", Count, "haproxy qcur: requests that wait for a server";
    ThreadWait = "thread_wait_max_ratio", Share, "largest share of the time since the last sample that a thread of the component waited for a core";
    ThreadsInLock = "threads_in_lock_count", Count, "threads, of those looked at, that wait for another thread: a mutex, a condition, the lock of an interpreter";
    ThreadsInSleep = "threads_in_sleep_count", Count, "threads, of those looked at, that sleep for a time of their own choosing";
    ThreadsInRead = "threads_in_read_count", Count, "threads, of those looked at, that wait for somebody's answer over a socket or a pipe";
    ThreadsIdle = "threads_idle_count", Count, "threads, of those looked at, that wait for anything to do: poll, epoll, accept";
    UserTasks = "user_tasks_count", Count, "processes and threads of the user that the component runs as, on the whole machine; not told for root";
    UserTasksLimit = "user_tasks_limit", Count, "soft limit of those (RLIMIT_NPROC)";
    ProcessesEnded = "processes_ended_total", Count, "processes of the component that ended, also where others of it live on";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_metric_says_its_unit() {
        let words = [
            ("us", Unit::Micros),
            ("bytes", Unit::Bytes),
            ("ratio", Unit::Share),
            ("percent", Unit::Percent),
            ("pages", Unit::Pages),
        ];
        for metric in Metric::ALL {
            let said = words.iter().find(|(word, _)| metric.name().split('_').any(|part| part == *word));
            assert_eq!(metric.unit(), said.map_or(Unit::Count, |(_, unit)| *unit), "{}", metric.name());
        }
    }
}
