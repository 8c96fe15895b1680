//! The one test binary of the world around the engine.

mod house;
