//! Floor 7, the edge: sockets in, trips out; and the sidecar's own two doors, telemetry and admin.
//! Must never decide anything about a request: it frames, times and counts connections.

mod accept;
mod admin;
mod conn;
mod crowd;
mod entrance;
mod frames;
mod gate;
mod guard;
mod h2;
mod hangup;
mod manners;
mod page;
mod places;
mod stall;
mod stream;
mod telemetry;
mod unasked;

pub use accept::{Doorway, Stage, listen};
pub use admin::{AdminCall, AdminDoor, AdminReply, Archive, Ask, admin_port, admin_socket};
pub use entrance::{Entrance, LocalDoor};
pub use gate::Gate;
pub use guard::Patience;
pub use telemetry::{Ready, telemetry};
