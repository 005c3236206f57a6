//! One file per command.
pub mod config;
pub mod crash_points;
pub mod export;
pub mod import;
pub mod log;
pub mod operate;
pub mod reach;
pub mod replay;
pub mod token;
pub mod up;
pub mod verify;
