//! Stories that people read and tests carry out: Markdown with commands and golden answers.
//!
//! `docs/stories/README.md` explains the notation to readers. Here a [`Story`] is read from its file, strictly: what
//! is not understood is refused with its line, since a command that is skipped is a story that proves nothing. The
//! commands are carried out in a [`House`](crate::House) by [`tell`]. With `UPDATE_GOLDEN=1` the answers that a story
//! shows are rewritten; which of their fields it shows is its author's choice and stays.

mod golden;
mod run;
mod shell;
mod story;
mod tree;

pub use golden::Names;
pub use run::{retell, tell};
pub use story::{Refused, Story};
pub use tree::Tree;

/// The differences between what a story shows and what was answered, one a line; none when they agree.
pub fn differences(shown: &Tree, answered: &Tree, names: &mut Names) -> Vec<String> {
    golden::differences(shown, answered, names)
}

/// What a story would show of this answer.
pub fn updated(shown: &Tree, answered: &Tree, names: &mut Names) -> Tree {
    golden::updated(shown, answered, names)
}
