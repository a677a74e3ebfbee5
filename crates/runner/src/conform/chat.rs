//! Suite `chat-template`: a conversation through a template.
//!
//! `template`, `special_tokens`, `messages`, `add_generation_prompt`; `enable_thinking`, `tools` and
//! `documents` where the case has them; `expect.text`, or `expect.error` where the template refuses.
//!
//! A template may tell the time. Its case says in `now` when it was made, in seconds since 1970; where it
//! does not, some hour of the last [`YEARS`] must give its text.

use serde_json::Value;

use super::case::member;
use crate::chat::seconds;
use crate::{Chat, ChatError, ChatTemplate};

const HOUR: u64 = 3600;
/// How long ago a case may have been made.
const YEARS: u64 = 2;

pub(super) fn run(case: &Value) -> Result<(), String> {
    let template: String = member(case, "template")?;
    let chat = Chat {
        messages: member(case, "messages")?,
        add_generation_prompt: member(case, "add_generation_prompt")?,
        enable_thinking: member(case, "enable_thinking")?,
        tools: member(case, "tools")?,
        documents: member(case, "documents")?,
        now: member(case, "now")?,
    };
    let source = ChatTemplate::new(&template, member(case, "special_tokens")?);
    let render = |chat: &Chat| source.as_ref().map_err(Clone::clone)?.render(chat);
    let rendered = render(&chat);
    let expect = &case["expect"];
    if expect.get("error").is_none() {
        let want: String = member(expect, "text")?;
        let got = rendered.map_err(|error| error.to_string())?;
        let tells_time = chat.now.is_none() && template.contains("strftime_now");
        let mut hours = (0..YEARS * 366 * 24).map(|hour| seconds().saturating_sub(hour * HOUR));
        let then =
            |now| render(&Chat { now: Some(now), ..chat.clone() }).is_ok_and(|it| it == want);
        let same = got == want || (tells_time && hours.any(then));
        return if same { Ok(()) } else { Err(format!("{got:?}, expected {want:?}")) };
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
