//! Uploads: blobs in one streamed request, mounts from other repositories, manifests.

use bytes::Bytes;
use futures_util::Stream;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Body, Method, Request, Response, Url};

use super::{RegistryError, Session};
use crate::digest::Digest;

/// An upload that the registry is ready for.
pub(crate) struct Upload {
    location: Url,
}

/// What came of a request to mount a blob.
pub(crate) enum Sent {
    /// It is there.
    Mounted,
    /// It must be uploaded.
    Wanted(Upload),
}

impl Session {
    /// Whether the repository has this blob.
    pub(crate) async fn has_blob(&self, digest: &Digest) -> Result<bool, RegistryError> {
        let url = self.url(&format!("blobs/{digest}"))?;
        match self.ask(Method::HEAD, url, &HeaderMap::new()).await {
            Ok(_) => Ok(true),
            Err(
                RegistryError::Refused { status: 404, .. } | RegistryError::NoRepository { .. },
            ) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Asks for a blob of another repository, or for an upload if there is none.
    pub(crate) async fn begin(
        &self,
        mount: Option<(&Digest, &str)>,
    ) -> Result<Sent, RegistryError> {
        let mut url = self.url("blobs/uploads/")?;
        if let Some((digest, from)) = mount {
            url.query_pairs_mut()
                .append_pair("mount", digest.as_str())
                .append_pair("from", from);
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        let response = self.ask(Method::POST, url, &headers).await?;
        if response.status().as_u16() == 201 {
            return Ok(Sent::Mounted);
        }
        Ok(Sent::Wanted(Upload {
            location: self.location(&response)?,
        }))
    }

    /// Streams a blob whose digest is known only at its end.
    pub(crate) async fn stream<E>(
        &self,
        upload: Upload,
        body: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
    ) -> Result<Upload, RegistryError>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        let mut request = Request::new(Method::PATCH, upload.location);
        request.headers_mut().insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        );
        *request.body_mut() = Some(Body::wrap_stream(body));
        let response = self.send(request).await?;
        Ok(Upload {
            location: self.location(&response)?,
        })
    }

    /// Ends an upload, with its last bytes if there are any.
    pub(crate) async fn finish(
        &self,
        upload: Upload,
        digest: &Digest,
        rest: Bytes,
    ) -> Result<(), RegistryError> {
        let mut url = upload.location;
        url.query_pairs_mut().append_pair("digest", digest.as_str());
        let mut request = Request::new(Method::PUT, url);
        request.headers_mut().insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        );
        request
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from(rest.len()));
        *request.body_mut() = Some(Body::from(rest));
        self.send(request).await.map(drop)
    }

    /// Uploads a small blob, unless it is there.
    pub(crate) async fn put_blob(
        &self,
        digest: &Digest,
        bytes: Vec<u8>,
    ) -> Result<(), RegistryError> {
        if self.has_blob(digest).await? {
            return Ok(());
        }
        match self.begin(None).await? {
            Sent::Mounted => Ok(()),
            Sent::Wanted(upload) => self.finish(upload, digest, bytes.into()).await,
        }
    }

    /// Puts a manifest under a tag or its digest.
    pub(crate) async fn put_manifest(
        &self,
        target: &str,
        media_type: &str,
        bytes: Vec<u8>,
    ) -> Result<(), RegistryError> {
        let mut request = Request::new(Method::PUT, self.url(&format!("manifests/{target}"))?);
        let kind = HeaderValue::try_from(media_type)
            .map_err(|_| self.rubbish("the manifest's media type is not text"))?;
        request.headers_mut().insert(CONTENT_TYPE, kind);
        *request.body_mut() = Some(Body::from(bytes));
        self.send(request).await.map(drop)
    }

    fn location(&self, response: &Response) -> Result<Url, RegistryError> {
        let location = response
            .headers()
            .get(LOCATION)
            .and_then(|value| value.to_str().ok());
        let location = location.and_then(|to| response.url().join(to).ok());
        location.ok_or_else(|| self.rubbish("it does not say where to upload"))
    }
}
