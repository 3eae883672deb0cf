//! Files of requestors: services on the bus that give and take them in chunks.

use std::time::Duration;

use futures::{Stream, StreamExt, TryStreamExt, stream, stream::FuturesUnordered};
use prost::bytes::Bytes;
use tokio::time::{sleep, timeout};

use super::{Download, Hasher, Patience, TransferError};
use crate::gsb::{
    Bus, CallError,
    message::{Chunk, GetChunk, GetMetadata, Message, UploadChunk, UploadFinished},
};

/// Bytes of a chunk: what the network's file services are used to.
const CHUNK: u64 = 40 << 10;
/// Chunks under way at a time.
const IN_FLIGHT: usize = 8;
/// How long a file service may take for one answer.
const SILENCE: Duration = Duration::from_secs(60);

/// The file that a service gives.
pub(super) async fn download(
    bus: &Bus,
    patience: Patience,
    service: String,
) -> Result<
    (
        u64,
        impl Stream<Item = Result<Bytes, TransferError>> + Send + use<>,
    ),
    TransferError,
> {
    let size = call(bus, patience, &service, &GetMetadata {})
        .await?
        .file_size;
    let bus = bus.clone();
    let chunks = stream::iter(offsets(size)).map(move |offset| {
        get_chunk(
            bus.clone(),
            patience,
            service.clone(),
            offset,
            CHUNK.min(size - offset),
        )
    });
    Ok((size, chunks.buffered(IN_FLIGHT)))
}

fn offsets(size: u64) -> impl Iterator<Item = u64> {
    (0..size.div_ceil(CHUNK)).map(|number| number * CHUNK)
}

async fn get_chunk(
    bus: Bus,
    patience: Patience,
    service: String,
    offset: u64,
    size: u64,
) -> Result<Bytes, TransferError> {
    let chunk = call(&bus, patience, &service, &GetChunk { offset, size }).await?;
    let found = chunk.content.len() as u64;
    match chunk.offset == offset && found == size {
        true => Ok(Bytes::from(chunk.content)),
        false => Err(TransferError::Chunk {
            service,
            offset,
            expected: size,
            found,
        }),
    }
}

/// Gives a file to a service.
pub(super) async fn upload(
    bus: &Bus,
    patience: Patience,
    service: &str,
    mut file: Download,
) -> Result<(), TransferError> {
    let mut hasher = Hasher::sha3_256();
    let mut offset = 0;
    let mut under_way = FuturesUnordered::new();
    while let Some(mut bytes) = file.next().await? {
        hasher.update(&bytes);
        while !bytes.is_empty() {
            let content = bytes.split_to(bytes.len().min(CHUNK as usize)).to_vec();
            let length = content.len() as u64;
            let chunk = Chunk { offset, content };
            if under_way.len() == IN_FLIGHT {
                under_way.try_next().await?;
            }
            under_way.push(put_chunk(bus, patience, service, chunk));
            offset += length;
        }
    }
    while under_way.try_next().await?.is_some() {}
    let hash = Some(hasher.finish().to_string());
    call(bus, patience, service, &UploadFinished { hash }).await
}

async fn put_chunk(
    bus: &Bus,
    patience: Patience,
    service: &str,
    chunk: Chunk,
) -> Result<(), TransferError> {
    call(bus, patience, service, &UploadChunk { chunk }).await
}

/// Calls a file service, several times if it is silent or gone. All of its calls can be made twice.
async fn call<M: Message>(
    bus: &Bus,
    patience: Patience,
    service: &str,
    message: &M,
) -> Result<M::Reply, TransferError> {
    let mut failures = 0;
    loop {
        let answer = timeout(SILENCE, bus.call(service, message)).await;
        let answer = answer.unwrap_or_else(|_| {
            let text = format!("no answer to {} within {} s", M::NAME, SILENCE.as_secs());
            Err(CallError::Timeout(text))
        });
        failures += 1;
        let source = match answer {
            Ok(reply) => return Ok(reply),
            Err(error) => error,
        };
        let is_passing = matches!(source, CallError::Timeout(_) | CallError::Closed(_));
        match patience.pause(failures) {
            Some(pause) if is_passing => sleep(pause).await,
            _ => {
                return Err(TransferError::Gftp {
                    service: service.to_owned(),
                    source,
                });
            }
        }
    }
}
