//! Requests that make something at the engine, and that nobody waits for any more: a run that is stopped drops its work,
//! and a slow engine goes on with what it was asked for. Each such request is followed to its end, so that what came of it
//! can be removed.

use std::future::Future;

use tokio::sync::watch;

/// Requests that are not answered yet.
#[derive(Debug, Clone, Default)]
pub struct Pending(watch::Sender<usize>);

/// Counts a request until it is dropped.
struct Counted(watch::Sender<usize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|requests| *requests -= 1);
    }
}

impl Pending {
    /// Does `request` to its end, whether or not the caller waits for it.
    pub async fn follow<T: Send + 'static>(&self, request: impl Future<Output = T> + Send + 'static) -> T {
        self.0.send_modify(|requests| *requests += 1);
        let counted = Counted(self.0.clone());
        let followed = tokio::spawn(async move {
            let _counted = counted;
            request.await
        });
        match followed.await {
            Ok(answer) => answer,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime is ending, and with it the caller.
            Err(_) => std::future::pending().await,
        }
    }

    /// Waits until every request is answered.
    pub async fn settled(&self) {
        // The sender is here, so it cannot be closed.
        let _ = self.0.subscribe().wait_for(|requests| *requests == 0).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn a_request_that_nobody_waits_for_is_done_to_its_end() {
        let (pending, (answer, answered)) = (Pending::default(), tokio::sync::oneshot::channel());
        let request = pending.follow(async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            answer.send(7)
        });
        assert!(tokio::time::timeout(Duration::from_millis(5), request).await.is_err(), "dropped");
        pending.settled().await;
        assert_eq!(answered.await, Ok(7));
        pending.settled().await;
        assert_eq!(pending.follow(async { 8 }).await, 8);
    }
}
