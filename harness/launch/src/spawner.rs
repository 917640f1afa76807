//! A thread that starts processes and lives as long as the harness.
//!
//! Instances ask the kernel to be killed with their parent (`PR_SET_PDEATHSIG`, prctl(2)), and to the kernel the parent
//! is the *thread* that forked: tokio's threads may end while the harness goes on, this one never does.

use std::sync::{Mutex, OnceLock, PoisonError, mpsc};

type Job = Box<dyn FnOnce() + Send>;

/// Runs a piece of work on the thread and returns what it returns; `None`: the thread could not be started.
///
/// Where the caller is dropped before the work is done, its result is dropped as well, and with it any process.
pub async fn on_spawner<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    queue()?.send(Box::new(move || drop(sender.send(work())))).ok()?;
    receiver.await.ok()
}

fn queue() -> Option<mpsc::Sender<Job>> {
    static QUEUE: OnceLock<Option<Mutex<mpsc::Sender<Job>>>> = OnceLock::new();
    let queue = QUEUE.get_or_init(|| {
        let (sender, receiver) = mpsc::channel::<Job>();
        std::thread::Builder::new()
            .name("wsceiling-spawn".to_owned())
            .spawn(move || {
                for job in receiver {
                    // A job that panics must not end the thread: that would kill every instance.
                    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
                }
            })
            .ok()?;
        Some(Mutex::new(sender))
    });
    Some(queue.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner).clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_work_is_done_on_one_thread_that_outlives_a_panic() {
        let first = on_spawner(|| std::thread::current().id()).await;
        let panicked: Option<()> = on_spawner(|| panic!("on purpose")).await;
        let second = on_spawner(|| std::thread::current().id()).await;
        assert_eq!(panicked, None);
        assert!(first.is_some() && first == second);
    }
}
