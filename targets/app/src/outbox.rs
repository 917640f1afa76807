//! What waits for one connection to read it: a bounded queue that marks its owner as slow when it is full.

use std::sync::Arc;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc};
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// The end that rooms write to. Never waits: a room must not be held up by one of its members.
#[derive(Debug, Clone)]
pub struct Outbox {
    queue: mpsc::Sender<Utf8Bytes>,
    slow: Arc<Notify>,
}

/// The end that belongs to the connection.
#[derive(Debug)]
pub struct Inbox {
    /// Messages to write to the peer.
    pub queue: mpsc::Receiver<Utf8Bytes>,
    /// Notified once a message did not fit.
    pub slow: Arc<Notify>,
}

/// Both ends of a queue of `length` messages.
pub fn channel(length: usize) -> (Outbox, Inbox) {
    let (sender, receiver) = mpsc::channel(length);
    let slow = Arc::new(Notify::new());
    (Outbox { queue: sender, slow: Arc::clone(&slow) }, Inbox { queue: receiver, slow })
}

impl Outbox {
    /// Queues a message, or tells the owner that it is too slow. The bytes are shared, not copied.
    pub fn push(&self, message: &Utf8Bytes) {
        if let Err(TrySendError::Full(_)) = self.queue.try_send(message.clone()) {
            // The permit stays until the owner looks, even if it is busy writing now.
            self.slow.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn a_full_queue_marks_its_owner_and_keeps_what_it_had() {
        let (outbox, mut inbox) = channel(2);
        for text in ["a", "b"] {
            outbox.push(&text.into());
        }
        assert!(inbox.slow.notified().now_or_never().is_none());
        outbox.push(&"c".into());
        assert!(inbox.slow.notified().now_or_never().is_some());
        assert_eq!(inbox.queue.try_recv().unwrap(), "a");
        assert_eq!(inbox.queue.try_recv().unwrap(), "b");
        assert!(inbox.queue.try_recv().is_err());
    }

    #[test]
    fn a_connection_that_is_gone_is_not_slow() {
        let (outbox, inbox) = channel(1);
        let slow = Arc::clone(&inbox.slow);
        drop(inbox);
        outbox.push(&"a".into());
        outbox.push(&"b".into());
        assert!(slow.notified().now_or_never().is_none());
    }
}
