//! Contract suites: what every fake and every real adapter of a port must do.
