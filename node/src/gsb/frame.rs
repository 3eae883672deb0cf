//! What travels on the websocket of a service: calls and their answers, as flexbuffers.
//!
//! A call is `{id, component, payload}`; its answer `{id, payload}`, or `{id, error}`.

use exeunit::gsb::{CallError, check, decode, encode};
use flexbuffers::Reader;
use serde::{Serialize, de::IgnoredAny};
use serde_json::Value;

/// A call, as the service gets it.
pub(super) fn call(id: &str, component: &str, data: &[u8]) -> Result<Vec<u8>, CallError> {
    #[derive(Serialize)]
    struct Frame<'a> {
        id: &'a str,
        component: &'a str,
        payload: &'a Reader<&'a [u8]>,
    }
    check(data)?;
    let payload = &Reader::get_root(data).map_err(malformed)?;
    encode(&Frame {
        id,
        component,
        payload,
    })
}

/// An answer, as the service gives it: to which call, and a flexbuffer of the `Result`.
pub(super) fn answer(frame: &[u8]) -> Result<(String, Vec<u8>), CallError> {
    // The reader goes wherever a buffer points to, and as deep, which some do not survive.
    check(frame)?;
    let frame = Reader::get_root(frame)
        .and_then(|root| root.get_map())
        .map_err(malformed)?;
    let id = frame.index("id").map_err(malformed)?;
    let id = id.get_str().map_err(malformed)?.to_owned();
    let payload = frame.index("payload").map_err(malformed);
    let result = match frame.index("error") {
        Ok(error) if !error.flexbuffer_type().is_null() => {
            Err(CallError::Service(describe(&error)))
        }
        _ => payload.as_ref().map_err(Clone::clone),
    };
    Ok((id, encode(&result)?))
}

/// What a flexbuffer of the `Result` of a call holds, in JSON. Bytes are a list of numbers there.
pub(super) fn reply(data: &[u8]) -> Result<Value, CallError> {
    decode::<Result<IgnoredAny, CallError>>(data)??;
    let result = Reader::get_root(data).and_then(|root| root.get_map());
    let reply = result.and_then(|result| result.index("Ok"));
    serde_json::to_value(&reply.map_err(malformed)?)
        .map_err(|error| CallError::BadRequest(error.to_string()))
}

/// An error in words: services send a text, or a text with the error's name, `{"ReadError": "…"}`.
fn describe(error: &Reader<&[u8]>) -> String {
    if let Ok(text) = error.get_str() {
        return text.to_owned();
    }
    serde_json::to_value(error)
        .ok()
        .and_then(|json| {
            let (name, text) = json.as_object()?.iter().next()?;
            Some(match text.as_str() {
                Some(text) => format!("{name}: {text}"),
                None => json.to_string(),
            })
        })
        .unwrap_or_else(|| "an error without a reason".to_owned())
}

fn malformed(error: flexbuffers::ReaderError) -> CallError {
    CallError::BadRequest(format!("malformed flexbuffer: {error}"))
}

#[cfg(test)]
mod tests {
    use exeunit::gsb::message::{
        Chunk, GetChunk, GetMetadata, Metadata, UploadChunk, UploadFinished,
    };
    use serde_json::json;

    use super::*;

    // Recorded between a yagna daemon and golem-js.
    const CALL_GET_METADATA: &str = "6964002435353463333363662d653538662d346465652d616265372d61626535656566613062303900636f6d706f6e656e74000b4765744d65746164617461007061796c6f6164000000010003244e0f0301031f5009141424062401";
    const ANSWER_METADATA: &str = "6964002435353463333363662d653538662d346465652d616265372d616265356565666130623039007061796c6f61640066696c6553697a6500010a010101070402421a02010243091424042401";
    const CALL_GET_CHUNK: &str = "6964002434623261333461652d663361342d346333662d616335352d32346631623462373135623200636f6d706f6e656e7400084765744368756e6b007061796c6f6164006f66667365740073697a6500020d07020001000200000000a009090338622603010333640f141425062401";
    const ANSWER_CHUNK: &str = "6964002434623261333461652d663361342d346333662d616335352d323466316234623731356232007061796c6f616400636f6e74656e7400077b2261223a317d6f6666736574000218090201021400640402532b020102540b1424042401";
    const CALL_UPLOAD_CHUNK: &str = "6964002434323261336564622d633239352d346662352d393733322d30663861616566653165613000636f6d706f6e656e74000b55706c6f61644368756e6b007061796c6f6164006368756e6b00636f6e74656e7400077b2261223a317d6f6666736574000218090201021400640801280101010924034e7839030103497a0b141424062401";
    const ANSWER_NULL: &str = "6964002434323261336564622d633239352d346662352d393733322d306638616165666531656130007061796c6f61640002320a02010233001400042401";
    const CALL_UPLOAD_FINISHED: &str = "6964002430646234356630352d666537342d343065372d616364612d65313837333733656137363900636f6d706f6e656e74000e55706c6f616446696e6973686564007061796c6f61640068617368004061393433626161303837656261666264613234393037333163626539616139313730386630623636626434303535313530653831346665373463653631633461000148010101461403719b590301036c9d0b141424062401";

    #[test]
    fn calls_are_the_recorded_bytes() {
        let hash = "a943baa087ebafbda2490731cbe9aa91708f0b66bd4055150e814fe74ce61c4a";
        for (id, component, data, recorded) in [
            (
                "554c33cf-e58f-4dee-abe7-abe5eefa0b09",
                "GetMetadata",
                encode(&GetMetadata {}),
                CALL_GET_METADATA,
            ),
            (
                "4b2a34ae-f3a4-4c3f-ac55-24f1b4b715b2",
                "GetChunk",
                encode(&GetChunk {
                    offset: 0,
                    size: 40_960,
                }),
                CALL_GET_CHUNK,
            ),
            (
                "422a3edb-c295-4fb5-9732-0f8aaefe1ea0",
                "UploadChunk",
                encode(&UploadChunk {
                    chunk: Chunk {
                        offset: 0,
                        content: b"{\"a\":1}".to_vec(),
                    },
                }),
                CALL_UPLOAD_CHUNK,
            ),
            (
                "0db45f05-fe74-40e7-acda-e187373ea769",
                "UploadFinished",
                encode(&UploadFinished {
                    hash: Some(hash.to_owned()),
                }),
                CALL_UPLOAD_FINISHED,
            ),
        ] {
            let frame = call(id, component, &data.unwrap()).unwrap();
            assert_eq!(hex::encode(frame), recorded, "{component}");
        }
    }

    #[test]
    fn recorded_answers_are_understood() {
        let read = |recorded: &str| answer(&hex::decode(recorded).unwrap()).unwrap();
        let (id, data) = read(ANSWER_METADATA);
        let metadata: Result<Metadata, CallError> = decode(&data).unwrap();
        assert_eq!(id, "554c33cf-e58f-4dee-abe7-abe5eefa0b09");
        assert_eq!(metadata.unwrap().file_size, 7);

        let chunk: Result<Chunk, CallError> = decode(&read(ANSWER_CHUNK).1).unwrap();
        let chunk = chunk.unwrap();
        assert_eq!(
            (chunk.offset, chunk.content.as_slice()),
            (0, &b"{\"a\":1}"[..])
        );

        let done: Result<(), CallError> = decode(&read(ANSWER_NULL).1).unwrap();
        assert_eq!(done, Ok(()));
    }

    #[test]
    fn an_error_is_told_in_words() {
        #[derive(Serialize)]
        struct Failure<E> {
            id: &'static str,
            error: E,
        }
        #[derive(Serialize)]
        enum Named {
            ReadError(&'static str),
        }
        let told = |frame: Vec<u8>| {
            let (_, data) = answer(&frame).unwrap();
            decode::<Result<(), CallError>>(&data).unwrap()
        };
        let failure = |error: &str| Err(CallError::Service(error.to_owned()));
        let named = Named::ReadError("gone");
        let named = encode(&Failure {
            id: "1",
            error: named,
        });
        assert_eq!(told(named.unwrap()), failure("ReadError: gone"));
        let text = encode(&Failure {
            id: "1",
            error: "gone",
        });
        assert_eq!(told(text.unwrap()), failure("gone"));
    }

    #[test]
    fn a_reply_is_json() {
        let ok = |chunk: Chunk| encode(&Ok::<_, CallError>(chunk)).unwrap();
        let chunk = Chunk {
            offset: 1 << 40,
            content: vec![0, 200],
        };
        let json = json!({"offset": 1u64 << 40, "content": [0, 200]});
        assert_eq!(reply(&ok(chunk)), Ok(json));
        let nothing = encode(&Ok::<_, CallError>(())).unwrap();
        assert_eq!(reply(&nothing), Ok(Value::Null));
        let late = CallError::Timeout("late".to_owned());
        let refused = encode(&Err::<(), _>(late.clone())).unwrap();
        assert_eq!(reply(&refused), Err(late));
        for nonsense in [
            encode(&5).unwrap(),
            encode(&json!({"Ok": 1, "Err": 2})).unwrap(),
            vec![],
        ] {
            assert!(matches!(reply(&nonsense), Err(CallError::BadRequest(_))));
        }
    }

    #[test]
    fn no_bytes_are_trusted() {
        let recorded = hex::decode(ANSWER_CHUNK).unwrap();
        for length in 0..recorded.len() {
            // Whatever is left of it, reading it ends, and so it does whatever it was turned into.
            let _ = answer(&recorded[..length]);
            let mut frame = recorded.clone();
            frame[length] ^= 0x5a;
            let _ = answer(&frame);
        }
        assert!(answer(&[]).is_err());
        assert!(call("1", "GetChunk", &[]).is_err());
    }

    #[test]
    fn what_lies_too_deep_is_not_looked_for() {
        // Each vector has the one before it, and nothing else.
        const VECTOR: u8 = 10 << 2;
        let (mut bytes, mut last) = (vec![0], 1);
        for _ in 0..1_000_000 {
            bytes.push(1);
            let start = bytes.len();
            bytes.extend([(start - last) as u8, VECTOR]);
            last = start;
        }
        let root = bytes.len();
        bytes.extend([(root - last) as u8, VECTOR, 1]);
        let refused = call("1", "GetChunk", &bytes).unwrap_err().to_string();
        assert!(refused.contains("too deep"), "{refused}");
        assert_eq!(answer(&bytes).unwrap_err().to_string(), refused);
    }
}
