//! A list of models on its way back: without those that this tenant may not use. It is read whole before its head goes
//! on, within what the tenant's bodies may take, so that a list which cannot be read is a refusal and not a broken answer.
//! Must never let a list through unread.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use tokio::time::timeout;

use crate::config::values::Permission;
use crate::limits::Full;
use crate::trip::peek::FREE;
use crate::trip::record::Run;
use crate::trip::{Refusal, Stop};
use crate::units::Code;
use crate::upstream::{AnswerBody, Fault};
use crate::wire::dialect::model_list::ModelListFilter;

/// What the tenant may see of a list; `patience` is how long the upstream may be silent.
pub(super) async fn filtered(
    mut list: AnswerBody,
    run: &Run,
    patience: Duration,
) -> Result<Bytes, Stop> {
    let policy = run.policy();
    let mut lease = run.account().lease();
    let mut held = 0;
    let mut filter = ModelListFilter::new(policy.body.value);
    loop {
        let frame = poll_fn(|cx| Pin::new(&mut list).poll_frame(cx));
        let Ok(frame) = timeout(patience, frame).await else {
            let what = "the upstream went silent in the middle of its list of models";
            return Err(Fault::Broken(what).into());
        };
        match frame {
            None => break,
            Some(Err(_)) => {
                let what = "the upstream broke off its list of models";
                return Err(Fault::Broken(what).into());
            }
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    held += data.len() as u64;
                    lease
                        .grow_to(held.saturating_sub(FREE as u64))
                        .map_err(no_room)?;
                    filter
                        .push(data)
                        .map_err(|fault| Fault::Broken(fault.as_str()))?;
                }
            }
        }
    }
    let shows = |model: &str| policy.models.usable(model).0 == Permission::Allow;
    let pieces = filter
        .finish(shows)
        .map_err(|fault| Fault::Broken(fault.as_str()))?;
    let mut whole = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
    for piece in &pieces {
        whole.extend_from_slice(piece);
    }
    Ok(whole.freeze())
}

fn no_room(full: Full) -> Refusal {
    let code = match full {
        Full::Now => Code::BuffersFull,
        Full::Ever(_) => Code::UpstreamInvalid,
    };
    let text = "no room to hold the upstream's list of models, which is read to be filtered; hint: `memory.buffers`";
    Refusal::new(code, text)
}
