//! A blocking HTTP/1.1 client small enough to add nothing to a measurement and to show every byte of an answer.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

/// Nothing a test asks takes longer; an answer that never comes is a failure and not a hang.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Clone, Debug)]
enum Address {
    Unix(PathBuf),
    Tcp(String),
}

trait Stream: Read + Write + Send {}
impl Stream for UnixStream {}
impl Stream for TcpStream {}

/// Keeps one connection and uses it for one request after the other.
pub struct Client {
    address: Address,
    prefix: String,
    stream: Option<BufReader<Box<dyn Stream>>>,
}

/// The answer to one request, body included.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as a document; an empty body is null.
    #[track_caller]
    pub fn json(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The body as a document, or null if it is none.
    pub fn try_json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The message of an error, or the body as it is.
    pub fn json_or_text(&self) -> String {
        self.try_json()["message"]
            .as_str()
            .map_or_else(|| self.text(), str::to_owned)
    }

    /// One document a line, as progress and events come.
    pub fn lines(&self) -> Vec<Value> {
        self.text()
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// Itself, if the request succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert!(
            (200..400).contains(&self.status),
            "status {}: {}",
            self.status,
            self.text()
        );
        self
    }

    /// The message of a request that must have failed with `status`.
    #[track_caller]
    pub fn failed(self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

impl Client {
    pub fn unix(socket: &Path) -> Self {
        Self {
            address: Address::Unix(socket.to_owned()),
            prefix: String::new(),
            stream: None,
        }
    }

    pub fn tcp(address: &str) -> Self {
        Self {
            address: Address::Tcp(address.to_owned()),
            prefix: String::new(),
            stream: None,
        }
    }

    /// Puts `prefix`, such as `/v1.44`, before every path.
    pub fn with_prefix(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.prefix);
        self
    }

    #[track_caller]
    pub fn get(&mut self, path: &str) -> Response {
        self.send("GET", path, &[], b"")
    }

    #[track_caller]
    pub fn head(&mut self, path: &str) -> Response {
        self.send("HEAD", path, &[], b"")
    }

    #[track_caller]
    pub fn delete(&mut self, path: &str) -> Response {
        self.send("DELETE", path, &[], b"")
    }

    /// Posts a document; null posts nothing.
    #[track_caller]
    pub fn post(&mut self, path: &str, document: &Value) -> Response {
        if document.is_null() {
            return self.send("POST", path, &[], b"");
        }
        self.send(
            "POST",
            path,
            &[("Content-Type", "application/json")],
            document.to_string().as_bytes(),
        )
    }

    /// One request and its whole answer.
    #[track_caller]
    pub fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        self.try_send(method, path, headers, body)
            .unwrap_or_else(|error| panic!("{method} {path} at {:?}: {error}", self.address))
    }

    /// As [`Self::send`], for a server that may not be there.
    pub fn try_send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> std::io::Result<Response> {
        let kept = self.stream.is_some();
        match self.exchange(method, path, headers, body) {
            // A kept connection may have been closed between two requests.
            Err(_) if kept => {
                self.stream = None;
                self.exchange(method, path, headers, body)
            }
            other => other,
        }
    }

    fn exchange(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> std::io::Result<Response> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => BufReader::new(self.connect()?),
        };
        stream
            .get_mut()
            .write_all(&self.request(method, path, headers, body))?;
        let (status, headers) = read_head(&mut stream)?;
        let mut response = Response {
            status,
            headers,
            body: Vec::new(),
        };
        let ends_here = method == "HEAD" || matches!(status, 100..200 | 204 | 304);
        if !ends_here {
            response.body = read_body(&mut stream, &response)?;
        }
        if response
            .header("connection")
            .is_none_or(|value| !value.eq_ignore_ascii_case("close"))
        {
            self.stream = Some(stream);
        }
        Ok(response)
    }

    /// Sends a request and hands over the connection behind the answer's head: an upgraded stream, or a body without
    /// an end such as events.
    #[track_caller]
    pub fn open(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> (Response, impl Read + Write + use<>) {
        let Address::Unix(socket) = &self.address else {
            panic!("only a unix socket can be upgraded")
        };
        let mut raw = UnixStream::connect(socket)
            .unwrap_or_else(|error| panic!("connect {}: {error}", socket.display()));
        raw.set_read_timeout(Some(PATIENCE))
            .expect("a socket takes a timeout");
        raw.write_all(&self.request(method, path, headers, body))
            .expect("a request can be written");
        // Byte by byte, so that nothing behind the head is swallowed.
        let (status, headers) =
            read_head(&mut BufReader::with_capacity(1, &mut raw)).expect("an answer has a head");
        (
            Response {
                status,
                headers,
                body: Vec::new(),
            },
            raw,
        )
    }

    fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
        let mut request = format!(
            "{method} {}{path} HTTP/1.1\r\nHost: proa\r\nContent-Length: {}\r\n",
            self.prefix,
            body.len()
        );
        for (key, value) in headers {
            request.push_str(&format!("{key}: {value}\r\n"));
        }
        request.push_str("\r\n");
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(body);
        bytes
    }

    fn connect(&self) -> std::io::Result<Box<dyn Stream>> {
        match &self.address {
            Address::Unix(socket) => {
                let stream = UnixStream::connect(socket)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                Ok(Box::new(stream))
            }
            Address::Tcp(address) => {
                let stream = TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                Ok(Box::new(stream))
            }
        }
    }
}

fn bad(what: &str) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, what.to_owned())
}

fn read_line(stream: &mut impl BufRead) -> std::io::Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}

fn read_head(stream: &mut impl BufRead) -> std::io::Result<(u16, Vec<(String, String)>)> {
    let line = read_line(stream)?;
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| bad(&line))?;
    let mut headers = Vec::new();
    loop {
        let line = read_line(stream)?;
        if line.is_empty() {
            return Ok((status, headers));
        }
        let (key, value) = line.split_once(':').ok_or_else(|| bad(&line))?;
        headers.push((key.to_owned(), value.trim().to_owned()));
    }
}

fn read_body(stream: &mut impl BufRead, head: &Response) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if head
        .header("transfer-encoding")
        .is_some_and(|value| value.eq_ignore_ascii_case("chunked"))
    {
        loop {
            let line = read_line(stream)?;
            let size = usize::from_str_radix(line.split(';').next().unwrap_or_default(), 16)
                .map_err(|_| bad(&line))?;
            let start = body.len();
            body.resize(start + size, 0);
            stream.read_exact(&mut body[start..])?;
            read_line(stream)?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
    match head.header("content-length").map(str::parse) {
        Some(length) => {
            body.resize(length.map_err(|_| bad("content-length"))?, 0);
            stream.read_exact(&mut body)?;
        }
        None => drop(stream.read_to_end(&mut body)?),
    }
    Ok(body)
}
