//! The adapters an engine was given, by name and by channel code.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Error;
use crate::channel::{Adapter, CodeManifest};
use crate::model::ChannelCode;

/// The adapters of an engine. Several may serve one code: the account of a payment decides which one speaks.
#[derive(Clone, Default)]
pub(crate) struct Adapters {
    named: BTreeMap<String, Arc<dyn Adapter>>,
    /// Names in the order the adapters were given.
    order: Vec<String>,
    /// The rules of every code by the adapter's name: what is live holds them, so that they are there once.
    rules: BTreeMap<String, BTreeMap<ChannelCode, Arc<CodeManifest>>>,
}

impl Adapters {
    /// Takes an adapter in.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is one of that name.
    pub fn add(&mut self, adapter: Arc<dyn Adapter>) -> Result<(), Error> {
        let name = adapter.manifest().adapter.to_owned();
        if self.named.contains_key(&name) {
            return Err(Error::field("adapter", format!("there are two adapters called {name}")));
        }
        self.order.push(name.clone());
        let codes = adapter.manifest().codes.iter().map(|rules| (rules.code.clone(), Arc::new(rules.clone())));
        self.rules.insert(name.clone(), codes.collect());
        self.named.insert(name, adapter);
        Ok(())
    }

    /// The adapter of that name.
    pub fn named(&self, name: &str) -> Option<&Arc<dyn Adapter>> {
        self.named.get(name)
    }

    /// The names of the adapters that serve a code, in the order they were given.
    pub fn serving(&self, code: &ChannelCode) -> Vec<&str> {
        let serves = |name: &&String| self.named.get(*name).is_some_and(|it| it.manifest().code(code).is_some());
        self.order.iter().filter(serves).map(String::as_str).collect()
    }

    /// The manifest of a code as one adapter serves it.
    pub fn rules(&self, adapter: &str, code: &ChannelCode) -> Option<&Arc<CodeManifest>> {
        self.rules.get(adapter)?.get(code)
    }

    /// The manifest of a code, of the first adapter that serves it.
    pub fn manifest_of(&self, code: &ChannelCode) -> Option<&CodeManifest> {
        self.order.iter().find_map(|name| self.rules(name, code)).map(Arc::as_ref)
    }

    /// One manifest for every code that is served.
    pub fn codes(&self) -> Vec<CodeManifest> {
        let mut codes = BTreeMap::new();
        for manifest in self.order.iter().filter_map(|name| self.named.get(name)).flat_map(|it| &it.manifest().codes) {
            codes.entry(manifest.code.clone()).or_insert_with(|| manifest.clone());
        }
        codes.into_values().collect()
    }
}
