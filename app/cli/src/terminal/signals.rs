//! Passing signals on to a container.

use proa_host::{Engine, Request};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// Signals that mean something to the process in the container. Not those about this process's own terminal, children
/// and pipes.
const PASSED: [(i32, &str); 9] = [
    (1, "HUP"),
    (2, "INT"),
    (3, "QUIT"),
    (10, "USR1"),
    (12, "USR2"),
    (14, "ALRM"),
    (15, "TERM"),
    (18, "CONT"),
    (26, "VTALRM"),
];

/// Catches signals from now on.
pub(crate) struct Caught(mpsc::UnboundedReceiver<&'static str>);

impl Caught {
    pub(crate) fn now() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        for (number, name) in PASSED {
            if let Ok(caught) = signal(SignalKind::from_raw(number)) {
                tokio::spawn(announce(caught, name, sender.clone()));
            }
        }
        Self(receiver)
    }

    /// Passes each signal on; never returns.
    pub(crate) async fn pass_to(mut self, engine: &Engine, container: &str) {
        while let Some(name) = self.0.recv().await {
            let request = Request::post(&["containers", container, "kill"]).query("signal", name);
            // It may have ended by now.
            let _ = engine.order(request).await;
        }
        std::future::pending::<()>().await;
    }
}

async fn announce(mut caught: Signal, name: &'static str, to: mpsc::UnboundedSender<&'static str>) {
    while caught.recv().await.is_some() {
        if to.send(name).is_err() {
            return;
        }
    }
}
