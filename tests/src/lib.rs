//! A whole shop for tests, in any of its shapes, and callers that talk to it over HTTP as customers do.
//!
//! Nothing here knows a rule of the shop. A [`House`] is built by the code that `souk up` and `souk serve` run,
//! on a clock that stands still until a test moves it, on ports that the system chose, in a folder of its own.
//! Nothing sleeps: tests wait for answers (`Prefer: wait`), for the watch stream, or with [`eventually`].

mod caller;
mod house;
mod raw;
mod shopping;
pub mod told;

pub use caller::{Answer, Call, Caller, Lines};
pub use house::{House, Shape, eventually, findings, try_for_a_while};
pub use raw::raw;
pub use shopping::{STREET, minor, money, payment_of, status_of};

/// Runs each story in every shape of the house, and afterwards checks the whole house: each story is an
/// `async fn(&House)`.
#[macro_export]
macro_rules! in_every_shape {
    ($($story:ident),* $(,)?) => {
        $crate::in_every_shape!(@shape one, One, $($story),*);
        $crate::in_every_shape!(@shape round_trip, RoundTrip, $($story),*);
        $crate::in_every_shape!(@shape apart, Apart, $($story),*);
    };
    (@shape $module:ident, $shape:ident, $($story:ident),*) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $story() {
                    let house = $crate::House::start($crate::Shape::$shape).await;
                    super::$story(&house).await;
                    house.close().await;
                }
            )*
        }
    };
}
