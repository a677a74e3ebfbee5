//! Examples of taper, one idea a file, no network: see the `examples` folder.
