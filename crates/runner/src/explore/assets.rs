//! The page, its style and its scripts.

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// A file of the page by its path, with its type.
pub(super) fn asset(path: &str) -> Option<(&'static str, &'static str)> {
    Some(match path {
        "" => (HTML, include_str!("page/page.html")),
        "page.css" => (CSS, include_str!("page/page.css")),
        "main.js" => (JS, include_str!("page/main.js")),
        "dom.js" => (JS, include_str!("page/dom.js")),
        "server.js" => (JS, include_str!("page/server.js")),
        "tree.js" => (JS, include_str!("page/tree.js")),
        "knobs.js" => (JS, include_str!("page/knobs.js")),
        "bars.js" => (JS, include_str!("page/bars.js")),
        "stages.js" => (JS, include_str!("page/stages.js")),
        "lessons.js" => (JS, include_str!("page/lessons.js")),
        "keep.js" => (JS, include_str!("page/keep.js")),
        "share.js" => (JS, include_str!("page/share.js")),
        _ => return None,
    })
}
