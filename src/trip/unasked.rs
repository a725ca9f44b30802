//! Requests of which the trip hears only that they were there: the HTTP library refused them, or lost them when their
//! caller went. Each is recorded as nobody's, once. Must never be called for a request that began a trip.

use std::sync::Arc;

use super::accept::{Door, HeadFault};
use super::identify::TurnedAway;
use super::record::Run;
use super::{Refusal, respond};
use crate::units::{Code, Endpoint, Phase};

/// Records a request that was refused below HTTP, for this reason.
pub fn refuse_unasked(door: &Arc<Door>, fault: HeadFault) {
    let away = turned_away(Refusal::new(fault.code, fault.what));
    // What it would say, nobody can be told.
    let _unsent = respond::turn_away(begin(door, &away), &away);
}

/// Records a request whose caller was gone before anybody asked what it wanted.
pub fn unheard(door: &Arc<Door>) {
    let away = turned_away(Refusal::new(Code::HeadMalformed, ""));
    drop(begin(door, &away));
}

fn turned_away(refusal: Refusal) -> TurnedAway {
    TurnedAway {
        refusal,
        dialect: None,
        endpoint: Endpoint::Other,
        phase: Phase::Accept,
    }
}

fn begin(door: &Arc<Door>, away: &TurnedAway) -> Box<Run> {
    let ground = door.ground();
    let wall = ground.clock.wall();
    let id = ground.ids.next(wall);
    Run::of_nobody(door, ground.live.take(), (id, wall), away)
}
