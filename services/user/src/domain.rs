//! What a guest's and a member of staff's token says. Pure: ids and time come in.
use souk_contracts::terms::{GuestId, StaffId, UserId};
use souk_identity::{AUDIENCE_ALL, Claims, Kind};
use souk_kernel::{Timestamp, Uuid};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How long a guest is known: as long as a cart is worth coming back for.
pub const GUEST_TTL: Duration = Duration::from_secs(30 * 24 * 3_600);

/// The longest life of a staff token. There is no way yet to take one back, so it must end by itself.
pub const STAFF_TTL_MAX: Duration = Duration::from_secs(24 * 3_600);

/// The longest life of a customer's token that is made by hand, for the same reason.
pub const CUSTOMER_TTL_MAX: Duration = STAFF_TTL_MAX;

/// What a member of staff may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Products, prices, agreed quotes, deliveries.
    Sales,
    /// Looks at customers' orders to answer their questions.
    Support,
    /// All of that, and corrections of stock.
    Admin,
}

impl Role {
    /// The role as tokens and policies write it.
    pub fn name(self) -> &'static str {
        match self {
            Role::Sales => "sales",
            Role::Support => "support",
            Role::Admin => "admin",
        }
    }
}

/// Why a text is no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRole;

impl fmt::Display for NoRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be sales, support or admin")
    }
}

impl std::error::Error for NoRole {}

impl FromStr for Role {
    type Err = NoRole;
    fn from_str(text: &str) -> Result<Self, NoRole> {
        let all = [Role::Sales, Role::Support, Role::Admin];
        all.into_iter().find(|role| role.name() == text).ok_or(NoRole)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a new guest's token says.
pub fn guest(id: GuestId, token_id: Uuid, now: Timestamp) -> Claims {
    Claims::new(id.to_string(), Kind::Guest, AUDIENCE_ALL, now, seconds(GUEST_TTL))
        .with_id(token_id.to_string())
}

/// What the token of a member of staff says. A longer life than [`STAFF_TTL_MAX`] is cut to it.
pub fn staff(id: StaffId, token_id: Uuid, role: Role, ttl: Duration, now: Timestamp) -> Claims {
    Claims::new(id.to_string(), Kind::Staff, AUDIENCE_ALL, now, seconds(ttl.min(STAFF_TTL_MAX)))
        .with_id(token_id.to_string())
        .with_roles(vec![role.name().to_owned()])
}

/// What the token of a customer says. A longer life than [`CUSTOMER_TTL_MAX`] is cut to it.
pub fn customer(id: UserId, token_id: Uuid, ttl: Duration, now: Timestamp) -> Claims {
    Claims::new(id.to_string(), Kind::Customer, AUDIENCE_ALL, now, seconds(ttl.min(CUSTOMER_TTL_MAX)))
        .with_id(token_id.to_string())
}

fn seconds(ttl: Duration) -> i64 {
    i64::try_from(ttl.as_secs()).expect("callers bound it by days")
}

#[cfg(test)]
mod tests {
    use super::*;
    use souk_kernel::TypeId;

    fn uuid(n: u8) -> Uuid {
        Uuid::v7(1_000, [n; 10])
    }

    #[test]
    fn a_guest_is_nobody_but_itself() {
        let claims = guest(GuestId::from_uuid(uuid(1)), uuid(2), Timestamp::from_unix_s(100));
        assert!(claims.sub.starts_with("gst_"));
        assert_eq!((claims.kind, claims.aud.as_str(), claims.roles.len()), (Kind::Guest, "souk", 0));
        assert_eq!(claims.exp - claims.iat, 30 * 86_400);
        assert_eq!(claims.act, None);
    }

    #[test]
    fn a_staff_token_has_one_role_and_ends_within_a_day() {
        let staff = |ttl| {
            staff(StaffId::from_uuid(uuid(1)), uuid(2), Role::Support, ttl, Timestamp::from_unix_s(100))
        };
        let claims = staff(Duration::from_secs(8 * 3_600));
        assert_eq!((claims.kind, claims.roles.as_slice()), (Kind::Staff, &["support".to_owned()][..]));
        assert!(claims.sub.starts_with("stf_"));
        assert_eq!(claims.exp, 100 + 8 * 3_600);
        assert_eq!(staff(Duration::MAX).exp, 100 + 24 * 3_600);
    }

    #[test]
    fn a_customers_token_gives_no_role_and_ends_within_a_day() {
        let claims =
            customer(UserId::from_uuid(uuid(1)), uuid(2), Duration::MAX, Timestamp::from_unix_s(100));
        assert!(claims.sub.starts_with("usr_"));
        assert_eq!((claims.kind, claims.roles.len(), claims.act), (Kind::Customer, 0, None));
        assert_eq!(claims.exp, 100 + 24 * 3_600);
    }

    #[test]
    fn roles_are_written_in_one_way() {
        for role in [Role::Sales, Role::Support, Role::Admin] {
            assert_eq!(role.to_string().parse(), Ok(role));
        }
        for bad in ["", "Admin", "root", "sales "] {
            assert_eq!(bad.parse::<Role>(), Err(NoRole), "{bad:?}");
        }
    }
}
