//! What is said of the frontends of a small cluster, and that the rules do it.

mod agreement;
mod cases;
mod fixture;
mod kernel;
mod target;
