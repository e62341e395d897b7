//! Reads request bodies, up to a limit. A JSON body must be an object; errors *inside* of the object are left to its
//! fields, so that one answer names all of them.

use std::{marker::PhantomData, pin::pin, time::Duration};

use futures_util::{Stream, StreamExt};
use poem::{Body, Request, RequestBody, Result};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions, impl_apirequest_for_payload,
    payload::{ParsePayload, Payload},
    registry::{MetaMediaType, MetaRequest, Registry},
    types::{ParseFromJSON, Type},
};
use serde_json::Value;

use super::{
    error::RequestError,
    json::{JSON, Json},
};

/// The content type of a form.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// The largest body that is read, in bytes.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// How much of a body that is too large is read and discarded, in bytes, and for how long.
const MAX_DISCARDED_BYTES: usize = 16 * 1024 * 1024;
const DISCARD_TIMEOUT: Duration = Duration::from_secs(2);

impl<T: ParseFromJSON> ParsePayload for Json<T> {
    const IS_REQUIRED: bool = T::IS_REQUIRED;

    async fn from_request(_request: &Request, body: &mut RequestBody) -> Result<Self> {
        let object = read_object(body).await?;
        parse(object)
    }
}

/// A JSON body that may be left out, and then needs no content type.
#[derive(Debug)]
pub struct MaybeJson<T>(pub Option<T>);

impl<'a, T: ParseFromJSON> ApiExtractor<'a> for MaybeJson<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Some(request_meta::<T>(JSON, false))
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _param_opts: ExtractParamOptions<Self::ParamType>,
    ) -> Result<Self> {
        let bytes = read(body).await?;
        if bytes.is_empty() {
            return Ok(Self(None));
        }
        match request.content_type() {
            Some(content_type) if Json::<T>::check_content_type(content_type) => {}
            Some(_) | None => return Err(RequestError::UnsupportedMediaType.into()),
        }
        let Json(value) = parse(object(&bytes)?)?;
        Ok(Self(Some(value)))
    }
}

/// A JSON body whose error is kept, for a handler that looks at the body before it has checked the session of a token.
#[derive(Debug)]
pub struct Deferred<T>(pub Result<T>);

impl<'a, T: ParseFromJSON> ApiExtractor<'a> for Deferred<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Some(request_meta::<T>(JSON, true))
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        param_opts: ExtractParamOptions<Self::ParamType>,
    ) -> Result<Self> {
        let json = <Json<T> as ApiExtractor>::from_request(request, body, param_opts).await;
        Ok(Self(json.map(|Json(value)| value)))
    }
}

/// A body as unparsed bytes: a signature covers all of it, including fields that this server does not know. `T` describes
/// the fields that it knows, `M` the media types of the OpenAPI document.
#[derive(Debug)]
pub struct Raw<T, M> {
    /// The body as it was sent.
    pub bytes: Vec<u8>,
    fields: PhantomData<(T, M)>,
}

/// The media types of a raw body.
pub trait MediaTypes: Send {
    /// The media types.
    const NAMES: &'static [&'static str];
}

/// A form.
#[derive(Debug)]
pub struct AsForm;

/// JSON.
#[derive(Debug)]
pub struct AsJson;

/// Either of the two.
#[derive(Debug)]
pub struct AsFormOrJson;

impl MediaTypes for AsForm {
    const NAMES: &'static [&'static str] = &[FORM];
}

impl MediaTypes for AsJson {
    const NAMES: &'static [&'static str] = &[JSON];
}

impl MediaTypes for AsFormOrJson {
    const NAMES: &'static [&'static str] = &[FORM, JSON];
}

impl<'a, T: Type, M: MediaTypes> ApiExtractor<'a> for Raw<T, M> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let content =
            M::NAMES.iter().map(|name| MetaMediaType { content_type: name, schema: T::schema_ref() });
        Some(MetaRequest { description: None, content: content.collect(), required: true })
    }

    async fn from_request(
        _request: &'a Request,
        body: &mut RequestBody,
        _param_opts: ExtractParamOptions<Self::ParamType>,
    ) -> Result<Self> {
        Ok(Self { bytes: read(body).await?, fields: PhantomData })
    }
}

fn request_meta<T: Type>(content_type: &'static str, required: bool) -> MetaRequest {
    let content = vec![MetaMediaType { content_type, schema: T::schema_ref() }];
    MetaRequest { description: None, content, required }
}

async fn read(body: &mut RequestBody) -> Result<Vec<u8>> {
    read_all(body.take()?).await
}

/// Reads a whole body, up to the limit.
///
/// # Errors
/// When the body is longer than the limit, or ends too early.
pub async fn read_all(body: Body) -> Result<Vec<u8>> {
    let mut stream = pin!(body.into_bytes_stream());
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| RequestError::MalformedRequest("The body could not be read"))?;
        if bytes.len() + chunk.len() > MAX_BODY_BYTES {
            discard(stream).await;
            return Err(RequestError::PayloadTooLarge.into());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Reads and discards the rest of a body, up to a limit: a client that is still sending gets the response then, and not
/// a connection reset.
pub async fn discard<C: AsRef<[u8]>, E>(stream: impl Stream<Item = Result<C, E>>) {
    let mut stream = pin!(stream);
    let discarding = async {
        let mut discarded = 0;
        while let Some(Ok(chunk)) = stream.next().await {
            discarded += chunk.as_ref().len();
            if discarded > MAX_DISCARDED_BYTES {
                break;
            }
        }
    };
    // A client that is slower is disconnected.
    let _ = tokio::time::timeout(DISCARD_TIMEOUT, discarding).await;
}

async fn read_object(body: &mut RequestBody) -> Result<Value> {
    let bytes = read(body).await?;
    Ok(object(&bytes)?)
}

/// Reads a JSON object.
///
/// # Errors
/// When the text is something else.
pub fn object(bytes: &[u8]) -> Result<Value, RequestError> {
    match serde_json::from_slice(bytes) {
        Ok(object @ Value::Object(_)) => Ok(object),
        Ok(_) => Err(RequestError::MalformedRequest("The body must be a JSON object")),
        Err(_) => Err(RequestError::MalformedRequest("The body is not JSON that can be read")),
    }
}

fn parse<T: ParseFromJSON>(object: Value) -> Result<Json<T>> {
    // A `Field` keeps its errors, so this fails only for other types.
    match T::parse_from_json(Some(object)) {
        Ok(value) => Ok(Json(value)),
        Err(_) => Err(RequestError::MalformedRequest("The body does not have the required form").into()),
    }
}

impl_apirequest_for_payload!(Json<T>, T: ParseFromJSON);
