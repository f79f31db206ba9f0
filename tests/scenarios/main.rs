//! Scenarios on a real control plane.

mod control_plane;
mod killed;
