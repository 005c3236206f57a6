//! Values, statements and rows.
use souk_kernel::Timestamp;
use std::borrow::Cow;
use std::sync::Arc;

/// One value of the portable subset.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Value {
    /// No value.
    Null,
    /// `BIGINT`.
    Int(i64),
    /// `TEXT`.
    Text(Arc<str>),
}

impl Value {
    /// How many bytes it takes, roughly; for limits.
    pub fn size(&self) -> usize {
        match self {
            Value::Null => 1,
            Value::Int(_) => 8,
            Value::Text(text) => text.len(),
        }
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Int(value)
    }
}
impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Value::Int(value.into())
    }
}
impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Value::Int(value.into())
    }
}
impl From<u16> for Value {
    fn from(value: u16) -> Self {
        Value::Int(value.into())
    }
}
impl From<u64> for Value {
    /// Counters and positions: a number beyond 2^63 is a defect long before it gets here.
    fn from(value: u64) -> Self {
        Value::Int(i64::try_from(value).expect("a counter stays below 2^63"))
    }
}
impl From<usize> for Value {
    /// Limits and lengths.
    fn from(value: usize) -> Self {
        Value::Int(i64::try_from(value).expect("a length stays below 2^63"))
    }
}
impl From<bool> for Value {
    /// 0 or 1: the subset has no booleans.
    fn from(value: bool) -> Self {
        Value::Int(value.into())
    }
}
impl From<Timestamp> for Value {
    /// Microseconds since the epoch.
    fn from(value: Timestamp) -> Self {
        Value::Int(value.unix_us())
    }
}
impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Value::Text(value.into())
    }
}
impl From<String> for Value {
    fn from(value: String) -> Self {
        Value::Text(value.into())
    }
}
impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Value::Text(value.as_str().into())
    }
}
impl From<Arc<str>> for Value {
    fn from(value: Arc<str>) -> Self {
        Value::Text(value)
    }
}
impl From<&Arc<str>> for Value {
    fn from(value: &Arc<str>) -> Self {
        Value::Text(Arc::clone(value))
    }
}
impl From<Cow<'_, str>> for Value {
    fn from(value: Cow<'_, str>) -> Self {
        Value::Text(value.into())
    }
}
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// A text of SQL and the values of its `$1`, `$2`, …
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The text. A constant one is resolved and prepared once; an owned one is kept in a bounded cache.
    pub sql: Cow<'static, str>,
    /// The values, `$1` first.
    pub args: Vec<Value>,
}

impl Statement {
    /// A statement without values yet.
    pub fn new(sql: impl Into<Cow<'static, str>>) -> Self {
        Self { sql: sql.into(), args: Vec::new() }
    }

    /// The same with one more value.
    #[must_use]
    pub fn arg(mut self, value: impl Into<Value>) -> Self {
        self.args.push(value.into());
        self
    }

    /// The same with these values after the ones it has.
    #[must_use]
    pub fn args(mut self, values: impl IntoIterator<Item = Value>) -> Self {
        self.args.extend(values);
        self
    }
}

impl From<&'static str> for Statement {
    fn from(sql: &'static str) -> Self {
        Self::new(sql)
    }
}

/// One row of an answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Row(Box<[Value]>);

impl Row {
    /// A row of these values.
    pub fn new(values: Vec<Value>) -> Self {
        Self(values.into_boxed_slice())
    }

    /// The values, first column first.
    pub fn values(&self) -> &[Value] {
        &self.0
    }

    /// The value of column `i`, counted from 0.
    ///
    /// # Panics
    /// When there is no such column or it holds another type: the statement and its reader disagree, and
    /// both are ours.
    #[track_caller]
    pub fn get<T: FromValue>(&self, i: usize) -> T {
        match self.try_get(i) {
            Some(value) => value,
            None => panic!("column {i} does not hold the wanted type: {:?}", self.0.get(i)),
        }
    }

    /// The value of column `i`, or `None` when there is no such column or it holds another type.
    pub fn try_get<T: FromValue>(&self, i: usize) -> Option<T> {
        self.0.get(i).and_then(T::from_value)
    }

    /// The text of column `i`, borrowed.
    ///
    /// # Panics
    /// When the column is not a text.
    #[track_caller]
    pub fn text(&self, i: usize) -> &str {
        match self.0.get(i) {
            Some(Value::Text(text)) => text,
            other => panic!("column {i} is not a text: {other:?}"),
        }
    }
}

/// What a column can be read as.
pub trait FromValue: Sized {
    /// The value, or `None` when it is of another type.
    fn from_value(value: &Value) -> Option<Self>;
}

impl FromValue for Value {
    fn from_value(value: &Value) -> Option<Self> {
        Some(value.clone())
    }
}
impl FromValue for i64 {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Int(number) => Some(*number),
            Value::Null | Value::Text(_) => None,
        }
    }
}
impl FromValue for bool {
    fn from_value(value: &Value) -> Option<Self> {
        i64::from_value(value).map(|number| number != 0)
    }
}
impl FromValue for Timestamp {
    fn from_value(value: &Value) -> Option<Self> {
        i64::from_value(value).map(Timestamp::from_unix_us)
    }
}
impl FromValue for Arc<str> {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Text(text) => Some(Arc::clone(text)),
            Value::Null | Value::Int(_) => None,
        }
    }
}
impl FromValue for String {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Text(text) => Some(text.to_string()),
            Value::Null | Value::Int(_) => None,
        }
    }
}
impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            Value::Int(_) | Value::Text(_) => T::from_value(value).map(Some),
        }
    }
}

macro_rules! from_narrow_int {
    ($($int:ty),+) => { $(
        impl FromValue for $int {
            fn from_value(value: &Value) -> Option<Self> {
                i64::from_value(value).and_then(|number| number.try_into().ok())
            }
        }
    )+ };
}
from_narrow_int!(i32, u16, u32, u64, usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_gives_its_columns_in_the_wanted_types() {
        let row = Row::new(vec![Value::from(7), Value::from("x"), Value::Null, Value::from(true)]);
        assert_eq!(row.get::<i64>(0), 7);
        assert_eq!(row.get::<u16>(0), 7);
        assert_eq!(row.get::<String>(1), "x");
        assert_eq!(row.text(1), "x");
        assert_eq!(row.get::<Option<i64>>(2), None);
        assert_eq!(row.get::<Option<String>>(1), Some("x".to_owned()));
        assert!(row.get::<bool>(3));
        assert_eq!(row.try_get::<i64>(1), None);
        assert_eq!(row.try_get::<i64>(9), None);
    }

    #[test]
    #[should_panic(expected = "column 1 does not hold the wanted type: Some(Text(\"x\"))")]
    fn a_wrong_type_is_a_defect_and_says_where() {
        Row::new(vec![Value::Null, Value::from("x")]).get::<i64>(1);
    }
}
