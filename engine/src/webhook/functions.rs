//! Functions: named handlers of the embedding service that take events in place of a URL.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

use crate::model::Event;

/// Characters of a function's name at most.
pub const NAME_MAX: usize = 100;
/// Characters of a reason that are kept.
const REASON_MAX: usize = 500;

/// One event for a function.
#[derive(Clone)]
pub struct FunctionCall {
    /// The name it was registered under.
    pub name: String,
    /// The event.
    pub event: Event,
    /// The body that a URL would get: JSON.
    pub body: Bytes,
}

impl fmt::Debug for FunctionCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FunctionCall").field("name", &self.name).field("event", &self.event.id).finish_non_exhaustive()
    }
}

type Handler = dyn Fn(FunctionCall) -> BoxFuture<'static, Result<(), String>> + Send + Sync;

struct Function {
    handler: Box<Handler>,
    slots: Arc<Semaphore>,
}

/// The functions of one engine. Filled before it starts; clones share everything.
#[derive(Clone, Default)]
pub struct FunctionRegistry {
    functions: BTreeMap<String, Arc<Function>>,
}

/// A function cannot be registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// The name is empty, too long, or has other characters.
    #[error("a function's name is 1 to {NAME_MAX} letters, digits, '.', '-' and '_'")]
    Name,
    /// There is one of that name.
    #[error("a function named {0} is registered already")]
    Twice(String),
    /// No call could ever run.
    #[error("a function needs at least one concurrent call")]
    NoSlots,
}

impl FunctionRegistry {
    /// Registers a handler that runs at most `concurrent_max` times at once; further calls wait within their deadline.
    ///
    /// `Ok(())` counts as status 200; `Err`, a panic and a call that outlives its deadline as failures. A call that
    /// outlives it is dropped where it awaits; a handler must not block.
    pub fn register<F, R>(&mut self, name: &str, concurrent_max: usize, handler: F) -> Result<(), RegisterError>
    where
        F: Fn(FunctionCall) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), String>> + Send + 'static,
    {
        if !is_name(name) {
            return Err(RegisterError::Name);
        }
        if concurrent_max == 0 {
            return Err(RegisterError::NoSlots);
        }
        if self.functions.contains_key(name) {
            return Err(RegisterError::Twice(name.to_owned()));
        }
        let slots = Arc::new(Semaphore::new(concurrent_max.min(Semaphore::MAX_PERMITS)));
        let handler = Box::new(move |call| handler(call).boxed());
        self.functions.insert(name.to_owned(), Arc::new(Function { handler, slots }));
        Ok(())
    }

    /// Whether a function of that name is registered.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.functions.contains_key(name)
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.functions.keys().map(String::as_str)
    }

    /// The call, once it is awaited. `None`: nobody registered the function. The caller bounds its time.
    pub(super) fn call(&self, call: FunctionCall) -> Option<BoxFuture<'static, Result<(), String>>> {
        let function = Arc::clone(self.functions.get(&call.name)?);
        let run = async move {
            let _slot = function.slots.acquire().await.expect("the slots are never closed");
            (function.handler)(call).await
        };
        let caught = AssertUnwindSafe(run).catch_unwind().map(|ended| match ended {
            Ok(result) => result.map_err(|reason| shortened(&reason)),
            Err(_) => Err("the function panicked".to_owned()),
        });
        Some(caught.boxed())
    }
}

impl fmt::Debug for FunctionRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// Whether a text can be the name of a function.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    (1..=NAME_MAX).contains(&text.len()) && text.bytes().all(fits)
}

fn shortened(reason: &str) -> String {
    reason.chars().take(REASON_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Entropy;
    use crate::clock::SeededEntropy;
    use crate::model::{AppId, EventId, Mode, RawId, Timestamp, TransactionId};
    use crate::webhook::payload;

    fn call(name: &str) -> FunctionCall {
        let mut bytes = [0; 12];
        SeededEntropy::new(1).fill(&mut bytes);
        let (app, event) = (AppId(RawId(bytes)), EventId(RawId(bytes)));
        let event = payload::test_event(app, Mode::Test, event, TransactionId(RawId(bytes)), Timestamp::from_millis(5));
        FunctionCall { name: name.into(), event, body: Bytes::from_static(b"{}") }
    }

    #[tokio::test]
    async fn a_function_succeeds_fails_or_panics() {
        // Its result is told; a panic, also one before the first await, is a failure and nothing more.
        let mut registry = FunctionRegistry::default();
        registry.register("ok", 1, |_| async { Ok(()) }).expect("new");
        registry.register("err", 1, |_| async { Err("no".repeat(1_000)) }).expect("new");
        registry.register("panic", 1, |_| async { panic!("inside") }).expect("new");
        registry
            .register("early", 1, |call: FunctionCall| {
                assert!(call.name.is_empty(), "before the first await");
                async { Ok(()) }
            })
            .expect("new");
        let panicked = Err("the function panicked".to_owned());
        let table = [("ok", Ok(())), ("err", Err("no".repeat(250))), ("panic", panicked.clone()), ("early", panicked)];
        for _ in 0..2 {
            for (name, expected) in &table {
                assert_eq!(registry.call(call(name)).expect("registered").await, *expected, "{name}");
            }
        }
        assert!(registry.call(call("nobody")).is_none());
    }

    #[tokio::test]
    async fn calls_at_once_are_bounded() {
        // With one slot, a second call starts only when the first has ended or was dropped.
        let mut registry = FunctionRegistry::default();
        registry.register("stuck", 1, |_| std::future::pending()).expect("new");
        let mut first = registry.call(call("stuck")).expect("registered");
        assert!(first.as_mut().now_or_never().is_none());
        let slots = Arc::clone(&registry.functions["stuck"].slots);
        let mut second = registry.call(call("stuck")).expect("registered");
        assert!(second.as_mut().now_or_never().is_none());
        assert_eq!(slots.available_permits(), 0);
        drop((first, second));
        assert_eq!(slots.available_permits(), 1);
    }

    #[test]
    fn names_are_checked() {
        // One function a name, and names that fit a path.
        let mut registry = FunctionRegistry::default();
        let long = "a".repeat(NAME_MAX + 1);
        for name in ["", "a b", "a/b", "函数", &long] {
            assert_eq!(registry.register(name, 1, |_| async { Ok(()) }), Err(RegisterError::Name), "{name}");
        }
        assert_eq!(registry.register("f", 0, |_| async { Ok(()) }), Err(RegisterError::NoSlots));
        assert_eq!(registry.register("f", 1, |_| async { Ok(()) }), Ok(()));
        assert_eq!(registry.register("f", 1, |_| async { Ok(()) }), Err(RegisterError::Twice("f".into())));
        assert_eq!(registry.names().collect::<Vec<_>>(), ["f"]);
    }
}
