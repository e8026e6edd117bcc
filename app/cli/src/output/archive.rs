//! Tar files that come from the engine or go to it.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;

use bytes::Bytes;
use proa_host::{Engine, Request, Upload};

use crate::failure::{Exit, Failure};

/// Asks for a tar file and writes it to `file`, or to standard output.
pub(crate) async fn download(
    engine: &Engine,
    request: Request,
    file: Option<&str>,
) -> Result<Exit, Failure> {
    let Some(path) = file else {
        if io::stdout().is_terminal() {
            return Err(Failure::usage(
                "cowardly refusing to save to a terminal: use -o, or send the output to a file",
            ));
        }
        copy(engine, request, &mut io::stdout().lock(), "standard output").await?;
        return Ok(Exit::OK);
    };
    // Beside its place first: a download that breaks off leaves an older file alone.
    let draft = format!("{path}.{}.part", std::process::id());
    let mut out =
        File::create(&draft).map_err(|source| Failure::io(format!("create {draft}"), source))?;
    let copied = copy(engine, request, &mut out, &draft).await;
    if copied.is_err() {
        let _ = std::fs::remove_file(&draft);
    }
    copied?;
    place(&draft, path)
}

fn place(draft: &str, path: &str) -> Result<Exit, Failure> {
    if Path::new(path).exists() && !Path::new(path).is_file() {
        // A pipe or device: nothing to be replaced.
        let copied = File::open(draft)
            .and_then(|mut from| io::copy(&mut from, &mut File::options().write(true).open(path)?));
        let _ = std::fs::remove_file(draft);
        copied.map_err(|source| Failure::io(format!("write {path}"), source))?;
        return Ok(Exit::OK);
    }
    std::fs::rename(draft, path).map_err(|source| Failure::io(format!("write {path}"), source))?;
    Ok(Exit::OK)
}

async fn copy(
    engine: &Engine,
    request: Request,
    out: &mut impl Write,
    to: &str,
) -> Result<(), Failure> {
    let mut answer = engine.send(request).await?;
    while let Some(bytes) = answer.chunk().await? {
        out.write_all(&bytes)
            .map_err(|source| Failure::io(format!("write to {to}"), source))?;
    }
    out.flush()
        .map_err(|source| Failure::io(format!("write to {to}"), source))
}

/// A file, or standard input, as something to upload.
pub(crate) fn upload_of(file: Option<&str>) -> Result<Upload, Failure> {
    match file {
        Some(path) => {
            let file =
                File::open(path).map_err(|source| Failure::io(format!("open {path}"), source))?;
            Ok(upload(file))
        }
        None if io::stdin().is_terminal() => Err(Failure::usage(
            "requested load from stdin, but stdin is a terminal: use -i, or a pipe",
        )),
        None => Ok(upload(io::stdin())),
    }
}

/// Reads on a thread of its own, a few pieces ahead.
pub(crate) fn upload(mut from: impl Read + Send + 'static) -> Upload {
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    std::thread::spawn(move || {
        loop {
            let mut piece = vec![0; 128 * 1024];
            let part = match from.read(&mut piece) {
                Ok(0) => return,
                Ok(count) => {
                    piece.truncate(count);
                    Ok(Bytes::from(piece))
                }
                Err(error) => Err(error),
            };
            let last = part.is_err();
            if sender.blocking_send(part).is_err() || last {
                return;
            }
        }
    });
    Box::pin(futures_util::stream::unfold(
        receiver,
        |mut receiver| async move { receiver.recv().await.map(|part| (part, receiver)) },
    ))
}
