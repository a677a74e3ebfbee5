//! Suite `chat-template`: a conversation through a template.
//!
//! `template`, `special_tokens`, `messages`, `add_generation_prompt`; `enable_thinking`, `tools` and
//! `documents` where the case has them; `expect.text`, or `expect.error` where the template refuses.

use serde_json::Value;

use super::case::member;
use crate::{Chat, ChatError, ChatTemplate};

pub(super) fn run(case: &Value) -> Result<(), String> {
    let template: String = member(case, "template")?;
    let chat = Chat {
        messages: member(case, "messages")?,
        add_generation_prompt: member(case, "add_generation_prompt")?,
        enable_thinking: member(case, "enable_thinking")?,
        tools: member(case, "tools")?,
        documents: member(case, "documents")?,
    };
    let rendered = ChatTemplate::new(&template, member(case, "special_tokens")?)
        .and_then(|template| template.render(&chat));
    let expect = &case["expect"];
    if expect.get("error").is_none() {
        let want: String = member(expect, "text")?;
        let got = rendered.map_err(|error| error.to_string())?;
        return if got == want { Ok(()) } else { Err(format!("{got:?}, expected {want:?}")) };
    }
    // What a template says itself is compared; what Python says of an error is Python's.
    let want: String = member(expect, "error")?;
    match rendered {
        Ok(got) => Err(format!("{got:?}, expected the error {want:?}")),
        Err(ChatError::Refused(got)) if got == want => Ok(()),
        Err(ChatError::Refused(got)) => Err(format!("the error {got:?}, expected {want:?}")),
        Err(_) if expect["error_kind"] != "TemplateError" => Ok(()),
        Err(other) => Err(format!("{other}, expected the error {want:?}")),
    }
}
