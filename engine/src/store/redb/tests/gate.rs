//! A gate on the way of a store's thread.

use std::sync::{Condvar, Mutex};

/// Lets a thread pass, or holds it.
#[derive(Default)]
pub struct Gate {
    /// Held, and whether a thread stands before it.
    state: Mutex<(bool, bool)>,
    changed: Condvar,
}

impl Gate {
    pub fn pass(&self) {
        let mut state = self.state.lock().expect("whole");
        while state.0 {
            state.1 = true;
            self.changed.notify_all();
            state = self.changed.wait(state).expect("whole");
        }
        state.1 = false;
    }

    pub fn hold(&self) {
        self.state.lock().expect("whole").0 = true;
    }

    pub fn release(&self) {
        self.state.lock().expect("whole").0 = false;
        self.changed.notify_all();
    }

    pub fn wait_until_held(&self) {
        let mut state = self.state.lock().expect("whole");
        while !state.1 {
            state = self.changed.wait(state).expect("whole");
        }
    }
}
