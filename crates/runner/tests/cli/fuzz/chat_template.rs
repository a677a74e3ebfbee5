//! An arbitrary template with arbitrary messages, rendered.

use serde_json::json;
use taper_runner::{Chat, ChatTemplate};

/// Never a panic and always an end: a prompt or an error. A zero byte parts the template from the
/// messages.
pub(crate) fn run(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == 0);
    let (source, messages) = end.map_or((data, None), |end| (&data[..end], Some(&data[end + 1..])));
    let Ok(source) = str::from_utf8(source) else { return };
    let tokens = [("bos_token", "<s>"), ("eos_token", "</s>")];
    let tokens = tokens.map(|(name, text)| (name.to_owned(), text.to_owned()));
    let Ok(template) = ChatTemplate::new(source, tokens.into()) else { return };
    let messages = messages.and_then(|messages| serde_json::from_slice(messages).ok());
    let turn = json!([{ "role": "user", "content": "Hi" }]);
    let mut chat = Chat::new(messages.unwrap_or(turn));
    let _ = template.render(&chat);
    chat.tools = Some(chat.messages.clone());
    chat.documents = Some(chat.messages.clone());
    chat.add_generation_prompt = false;
    let _ = template.render(&chat);
}
