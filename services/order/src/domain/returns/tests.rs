//! What may come back, and what it is worth.
