//! `/containers/{id}/archive` and `/containers/{id}/export`: files as tar streams.

use std::io::{self, Read as _};

use hyper::StatusCode;
use hyper::header::HeaderValue;
use proa_engine::container::archive::{Download, ExtractOptions};
use proa_protocol::PathStat;

use super::images::blocking;
use crate::server::{self, Answer, ApiError, Call, pipe};

/// How much of a refused body is still read, so that its sender hears the refusal.
const REST: u64 = 64 << 20;

/// What a stream that is broken off says.
const BROKEN_OFF: &str = "the container is being started or removed";

/// The path that is asked for.
fn path(call: &Call) -> Result<String, ApiError> {
    let path = call.query.text("path");
    if path.is_empty() {
        return Err(ApiError::bad("bad parameter: pathcannot be empty"));
    }
    Ok(path.to_owned())
}

/// `HEAD /containers/{id}/archive`
pub(super) async fn stat(id: &str, call: &Call) -> Answer {
    let path = path(call)?;
    let stat = call.engine().container(id)?.path_stat(id, &path).await?;
    let mut answer = server::status(StatusCode::OK)?;
    answer.headers_mut().insert(STAT, header(&stat)?);
    Ok(answer)
}

/// `GET /containers/{id}/archive`
pub(super) async fn fetch(id: &str, call: &Call) -> Answer {
    let path = path(call)?;
    let download = call.engine().container(id)?.download(id, &path).await?;
    let stat = header(&download.stat)?;
    let mut answer = send(download, "application/x-tar", id.to_owned())?;
    answer.headers_mut().insert(STAT, stat);
    Ok(answer)
}

/// `GET /containers/{id}/export`
pub(super) async fn export(id: &str, call: &Call) -> Answer {
    let download = call.engine().container(id)?.export().await?;
    send(download, "application/octet-stream", id.to_owned())
}

/// `PUT /containers/{id}/archive`
pub(super) async fn put(id: &str, call: Call) -> Answer {
    let path = path(&call)?;
    let how = ExtractOptions {
        keep_kinds: call.query.truth("noOverwriteDirNonDir"),
        copy_owner: call.query.truth("copyUIDGID"),
    };
    let container = call.engine().container(id)?;
    let upload = container.upload(id, &path, how).await;
    let upload = match upload {
        Ok(upload) => upload,
        Err(error) => {
            let mut body = pipe::reader(call.pieces());
            blocking(move || io::copy(&mut (&mut body).take(REST), &mut io::sink()).map(drop))
                .await
                .ok();
            return Err(error.into());
        }
    };
    let mut body = pipe::reader(pipe::until(call.pieces(), upload.revoked(), BROKEN_OFF));
    let work = move || {
        let outcome = upload.read(&mut body);
        // Nobody is kept waiting for what is only read to be forgotten.
        drop(upload);
        if outcome.is_err() {
            let _ = io::copy(&mut body.take(REST), &mut io::sink());
        }
        outcome
    };
    blocking(work).await??;
    server::status(StatusCode::OK)
}

const STAT: &str = "x-docker-container-path-stat";

fn header(stat: &PathStat) -> Result<HeaderValue, ApiError> {
    HeaderValue::try_from(stat.to_header())
        .map_err(|e| ApiError::internal(format!("write the answer's header: {e}")))
}

/// Sends files as they are read. A client that leaves ends the reading.
fn send(download: Download, kind: &'static str, id: String) -> Answer {
    let (mut writer, stream) = pipe::writer();
    let stream = pipe::until(stream, download.revoked(), BROKEN_OFF);
    tokio::task::spawn_blocking(move || match download.write(&mut writer) {
        Ok(()) => drop(writer.finish()),
        Err(error) => tracing::info!("send files of container {id}: {error}"),
    });
    server::stream(kind, stream)
}
