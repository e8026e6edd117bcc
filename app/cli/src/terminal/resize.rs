//! The terminal's size, and telling it to the other side.

use proa_host::{Engine, Request};
use rustix::termios::tcgetwinsize;
use tokio::signal::unix::{SignalKind, signal};

/// Rows and columns of the terminal of standard output, or of standard input.
pub(crate) fn size() -> Option<(u16, u16)> {
    let found = tcgetwinsize(std::io::stdout())
        .or_else(|_| tcgetwinsize(std::io::stdin()))
        .ok()?;
    (found.ws_row > 0 && found.ws_col > 0).then_some((found.ws_row, found.ws_col))
}

/// Whose terminal follows ours.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Whose<'a> {
    Container(&'a str),
    Exec(&'a str),
}

/// Tells the size now and whenever it changes; never returns.
pub(crate) async fn follow(engine: &Engine, whose: Whose<'_>) {
    let Ok(mut changes) = signal(SignalKind::window_change()) else {
        return std::future::pending().await;
    };
    loop {
        tell(engine, whose).await;
        changes.recv().await;
    }
}

async fn tell(engine: &Engine, whose: Whose<'_>) {
    let Some((rows, columns)) = size() else {
        return;
    };
    let (noun, id) = match whose {
        Whose::Container(id) => ("containers", id),
        Whose::Exec(id) => ("exec", id),
    };
    let request = Request::post(&[noun, id, "resize"])
        .query("h", &rows.to_string())
        .query("w", &columns.to_string());
    // It may have ended by now, and then has no size.
    let _ = engine.order(request).await;
}
