//! Whatever comes over the bus, packets and the messages in them, is understood or refused.
#![no_main]

use exeunit::gsb::{
    PacketCodec, PacketKind, decode,
    message::{Chunk, Exec, GetExecBatchResults, StreamExecBatchResults},
};
use libfuzzer_sys::fuzz_target;
use tokio_util::{bytes::BytesMut, codec::Decoder};

fuzz_target!(|bytes: &[u8]| {
    let mut received = BytesMut::from(bytes);
    let mut codec = PacketCodec::default();
    while let Ok(Some(packet)) = codec.decode(&mut received) {
        if let Some(PacketKind::CallRequest(call)) = packet.kind {
            understand(&call.data);
        }
    }
    understand(bytes);
});

fn understand(data: &[u8]) {
    let _ = decode::<Exec>(data);
    let _ = decode::<GetExecBatchResults>(data);
    let _ = decode::<StreamExecBatchResults>(data);
    let _ = decode::<Chunk>(data);
}
