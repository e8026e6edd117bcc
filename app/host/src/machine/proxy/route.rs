//! Which requests are looked at on their way.

use hyper::header::UPGRADE;
use hyper::{Method, Request};

/// What a request is to the proxy.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// A question that programs ask again and again; its text without the API's version.
    Poll(String),
    /// A container is created.
    Create,
    /// This container is started.
    Start(String),
    /// The connection becomes a stream.
    Upgrade,
    /// None of our business.
    Other,
}

impl Route {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        if request.headers().contains_key(UPGRADE) {
            return Self::Upgrade;
        }
        let uri = request.uri();
        Self::at(request.method(), uri.path(), uri.query())
    }

    fn at(method: &Method, path: &str, query: Option<&str>) -> Self {
        let path = without_version(path);
        let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        match (method.as_str(), segments.as_slice()) {
            (
                "GET" | "HEAD",
                ["_ping" | "version" | "info" | "volumes" | "networks"]
                | ["containers" | "images", "json"],
            ) => Self::Poll(format!("{method} {path}?{}", query.unwrap_or_default())),
            ("POST", ["containers", "create"]) => Self::Create,
            ("POST", ["containers", id, "start" | "restart"]) => Self::Start((*id).to_owned()),
            _ => Self::Other,
        }
    }
}

/// `/v1.51/info` → `/info`.
fn without_version(path: &str) -> &str {
    let Some(rest) = path.strip_prefix("/v") else {
        return path;
    };
    match rest.find('/') {
        Some(end)
            if rest[..end]
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.') =>
        {
            &rest[end..]
        }
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &str, path: &str, expected: Route) {
        let method = method.parse().expect("a method");
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path, None),
        };
        assert_eq!(Route::at(&method, path, query), expected, "{method} {path}");
    }

    #[test]
    fn requests_are_known_with_and_without_a_version() {
        check("GET", "/v1.51/_ping", Route::Poll("GET /_ping?".into()));
        check("GET", "/info", Route::Poll("GET /info?".into()));
        let list = Route::Poll("GET /containers/json?all=1".into());
        check("GET", "/v1.24/containers/json?all=1", list);
        check("POST", "/v1.51/containers/create?name=x", Route::Create);
        check("POST", "/containers/abc/start", Route::Start("abc".into()));
        check(
            "POST",
            "/containers/abc/restart?t=1",
            Route::Start("abc".into()),
        );
        check("GET", "/volumes/v1", Route::Other);
        check("GET", "/events", Route::Other);
        check("POST", "/containers/abc/stop", Route::Other);
    }
}
