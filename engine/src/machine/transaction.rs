//! The machine of a transaction (payments.md section 2 and 4).
