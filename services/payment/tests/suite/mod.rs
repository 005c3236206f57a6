//! What holds whichever way the provider is reached.
mod counter;
mod later;
mod races;
mod settling;
