//! Go text/template for boot files, scripts and params.
