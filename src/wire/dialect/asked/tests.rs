//! Tables of requests of both providers, as agents send them and as someone would who wants to get around.

use super::{AskFault, Asked, Governed, MEDIA_TOKENS, ReferenceKind};
use crate::units::{Dialect, Endpoint};
use crate::wire::form::{Boundary, FormScanner};
use crate::wire::json_scan::{Rules, Scanner};

fn read(dialect: Dialect, endpoint: Endpoint, body: &str) -> Result<Asked, AskFault> {
    let governed = Governed::of(dialect, endpoint).expect("governed");
    let mut scanner = Scanner::new(governed.paths(), Rules::STRICT);
    scanner.push(body.as_bytes()).expect("json");
    governed.read(scanner.finish().expect("json"))
}

fn chat(body: &str) -> Asked {
    read(Dialect::OpenAi, Endpoint::ChatCompletions, body).expect("readable")
}

fn responses(body: &str) -> Asked {
    read(Dialect::OpenAi, Endpoint::Responses, body).expect("readable")
}

fn messages(body: &str) -> Asked {
    read(Dialect::Anthropic, Endpoint::Messages, body).expect("readable")
}

fn hosted(asked: &Asked) -> Vec<&str> {
    asked.hosted_tools().collect()
}

fn references(asked: &Asked) -> Vec<(ReferenceKind, &str)> {
    asked
        .references
        .iter()
        .map(|found| (found.kind, found.path))
        .collect()
}

#[test]
fn a_chat_request() {
    let asked = chat(
        r#"{"model":"gpt-5.6-mini","messages":[{"role":"user","content":"Say hello, please."}],
            "tools":[{"type":"function","function":{"name":"model","parameters":{"type":"object"}}}],
            "stream":true,"stream_options":{"include_usage":false},"max_tokens":100,
            "max_completion_tokens":200,"n":3,"prompt_cache_key":"k","user":"u","store":true}"#,
    );
    assert_eq!(asked.model(), Some("gpt-5.6-mini"));
    assert!(asked.stream && !asked.background && !asked.stored_prompt && !asked.default_fallbacks);
    assert_eq!(asked.include_usage, Some(false));
    assert_eq!(asked.output_cap, Some(200));
    assert_eq!(asked.choices, 3);
    assert_eq!(asked.store, Some(true));
    assert_eq!(asked.cache_key(), Some("k"));
    assert_eq!(hosted(&asked), [""; 0]);
    assert_eq!(references(&asked), []);
    assert_eq!(asked.input_estimate, asked.scan().text_bytes.div_ceil(4));
    assert!(asked.input_estimate > 0);
}

#[test]
fn null_is_absent() {
    let asked = responses(
        r#"{"model":null,"stream":null,"tools":null,"prompt":null,"background":null,"store":null,"conversation":null,
            "previous_response_id":null,"max_output_tokens":null,"input":[{"id":null,"role":"user","content":[]}]}"#,
    );
    assert_eq!(asked.model(), None);
    assert!(!asked.stream && !asked.background && !asked.stored_prompt);
    assert_eq!(
        (asked.store, asked.output_cap, asked.choices),
        (None, None, 1)
    );
    assert_eq!(references(&asked), []);
}

#[test]
fn hosted_tools_are_what_is_not_known_to_run_at_the_client() {
    let openai: [(&str, &[&str]); 13] = [
        (
            r#"[{"type":"function"},{"type":"custom"},{"type":"apply_patch"},{"type":"local_shell"}]"#,
            &[],
        ),
        (r#"[{"type":"computer_use_preview"}]"#, &[]),
        (
            r#"[{"type":"web_search"},{"type":"mcp","server_url":"https://x"}]"#,
            &["web_search", "mcp"],
        ),
        (
            r#"[{"type":"code_interpreter","container":{"type":"auto"}}]"#,
            &["code_interpreter"],
        ),
        (r#"[{"type":"shell"}]"#, &["shell"]),
        (
            r#"[{"type":"shell","environment":{"type":"container_auto"}}]"#,
            &["shell"],
        ),
        (r#"[{"environment":{"type":"local"},"type":"shell"}]"#, &[]),
        (
            r#"[{"type":"shell"},{"type":"shell","environment":{"type":"local"}}]"#,
            &["shell"],
        ),
        (
            r#"[{"type":"namespace","tools":[{"type":"function"},{"type":"mcp"}]}]"#,
            &["mcp"],
        ),
        (
            r#"[{"type":"namespace","tools":[{"type":"namespace"}]}]"#,
            &["namespace"],
        ),
        (r#"[{"type":"Function"}]"#, &["Function"]),
        (r#"[{"type":"brand_new"}]"#, &["brand_new"]),
        (r#"[{"type":"\u006dcp"}]"#, &["mcp"]),
    ];
    for (tools, expected) in openai {
        let asked = responses(&format!(r#"{{"model":"m","tools":{tools}}}"#));
        assert_eq!(hosted(&asked), expected, "{tools}");
    }
    let asked = responses(
        r#"{"input":[{"type":"tool_search_output","tools":[{"type":"function"},{"type":"mcp"}]}]}"#,
    );
    assert_eq!(hosted(&asked), ["mcp"]);
}

#[test]
fn hosted_tools_of_anthropic() {
    let anthropic: [(&str, &[&str]); 6] = [
        (
            r#"[{"name":"a","input_schema":{"type":"object"}},{"type":"custom"},{"type":null}]"#,
            &[],
        ),
        (
            r#"[{"type":"bash_20250124"},{"type":"text_editor_20250728"},{"type":"memory_20250818"}]"#,
            &[],
        ),
        (
            r#"[{"type":"computer_20251124"},{"type":"browser_toolset_20260801"}]"#,
            &[],
        ),
        (
            r#"[{"type":"web_search_20260318"},{"type":"web_fetch_20260309"}]"#,
            &["web_search_20260318", "web_fetch_20260309"],
        ),
        (
            r#"[{"type":"mcp_toolset"},{"type":"tool_search_tool_bm25_20251119"}]"#,
            &["mcp_toolset", "tool_search_tool_bm25_20251119"],
        ),
        (
            r#"[{"type":"bash"},{"type":"code_execution_20260120"}]"#,
            &["bash", "code_execution_20260120"],
        ),
    ];
    for (tools, expected) in anthropic {
        let asked = messages(&format!(r#"{{"model":"m","tools":{tools}}}"#));
        assert_eq!(hosted(&asked), expected, "{tools}");
    }
}

#[test]
fn members_that_switch_a_hosted_tool_on() {
    let asked = chat(r#"{"web_search_options":{},"plugins":[],"search_parameters":{"mode":"on"}}"#);
    assert_eq!(hosted(&asked), ["web_search_options", "search_parameters"]);
    let asked = messages(r#"{"mcp_servers":[{"type":"url","url":"https://x"}]}"#);
    assert_eq!(hosted(&asked), ["mcp_servers"]);
    assert_eq!(hosted(&messages(r#"{"mcp_servers":[]}"#)), [""; 0]);
}

#[test]
fn other_models_are_found() {
    let models = |asked: &Asked| {
        asked
            .other_models()
            .map(|(model, _)| model.to_owned())
            .collect::<Vec<_>>()
    };
    let asked = messages(
        r#"{"model":"a","fallbacks":["b",{"model":"c"}],"tools":[{"type":"advisor_20260301","model":"d"}]}"#,
    );
    assert_eq!(models(&asked), ["b", "c", "d"]);
    let asked = messages(r#"{"model":"a","fallbacks":"default"}"#);
    assert!(asked.default_fallbacks);
    assert_eq!(
        models(&chat(r#"{"model":"a","models":["b","c"]}"#)),
        ["b", "c"]
    );
    assert_eq!(
        models(&responses(
            r#"{"tools":[{"type":"image_generation","model":"e"}]}"#
        )),
        ["e"]
    );
    assert!(responses(r#"{"prompt":{"id":"pmpt_1"}}"#).stored_prompt);
}

#[test]
fn references_are_found() {
    use ReferenceKind as Kind;
    let openai = [
        (
            r#""previous_response_id":"resp_1""#,
            Kind::Response,
            "$.previous_response_id",
        ),
        (
            r#""conversation":"conv_1""#,
            Kind::Conversation,
            "$.conversation",
        ),
        (
            r#""conversation":{"id":"conv_1"}"#,
            Kind::Conversation,
            "$.conversation.id",
        ),
        (
            r#""input":[{"type":"item_reference","id":"msg_1"}]"#,
            Kind::Item,
            "$.input[*].id",
        ),
        (r#""input":[{"id":"msg_1"}]"#, Kind::Item, "$.input[*].id"),
        (
            r#""input":[{"id":"msg_1","type":null},{"role":"user"}]"#,
            Kind::Item,
            "$.input[*].id",
        ),
        (
            r#""input":[{"content":[{"type":"input_file","file_id":"file-1"}]}]"#,
            Kind::File,
            "$.input[*].content[*].file_id",
        ),
        (
            r#""input":[{"output":[{"file_id":"file-1"}]}]"#,
            Kind::File,
            "$.input[*].output[*].file_id",
        ),
        (
            r#""tools":[{"type":"file_search","vector_store_ids":["vs_1"]}]"#,
            Kind::VectorStore,
            "$.tools[*].vector_store_ids",
        ),
        (
            r#""tools":[{"type":"code_interpreter","container":"cntr_1"}]"#,
            Kind::Container,
            "$.tools[*].container",
        ),
        (
            r#""tools":[{"container":{"type":"auto","file_ids":["f"]}}]"#,
            Kind::File,
            "$.tools[*].container.file_ids",
        ),
        (
            r#""background_options":{"continuation_id":"c"}"#,
            Kind::Continuation,
            "$.background_options.continuation_id",
        ),
        (
            r#""prompt_cache_options":{"comparison_response_id":"r"}"#,
            Kind::Response,
            "$.prompt_cache_options.comparison_response_id",
        ),
    ];
    for (member, kind, path) in openai {
        let asked = responses(&format!(r#"{{"model":"m",{member}}}"#));
        assert_eq!(references(&asked), [(kind, path)], "{member}");
    }
}

#[test]
fn references_of_anthropic_and_of_chat() {
    use ReferenceKind as Kind;
    let anthropic = [
        (r#""container":"cont_1""#, Kind::Container, "$.container"),
        (
            r#""container":{"id":"cont_1"}"#,
            Kind::Container,
            "$.container.id",
        ),
        (
            r#""container":{"skills":[{"type":"custom","skill_id":"s"}]}"#,
            Kind::Skill,
            "$.container.skills[*].skill_id",
        ),
        (r#""thread":{"id":"t"}"#, Kind::Conversation, "$.thread.id"),
        (
            r#""messages":[{"role":"user","content":[{"type":"image","source":{"type":"file","file_id":"f"}}]}]"#,
            Kind::File,
            "$.messages[*].content[*].source.file_id",
        ),
        (
            r#""messages":[{"content":[{"type":"tool_result","content":[{"source":{"file_id":"f"}}]}]}]"#,
            Kind::File,
            "$.messages[*].content[*].content[*].source.file_id",
        ),
        (
            r#""messages":[{"content":[{"type":"container_upload","file_id":"f"}]}]"#,
            Kind::File,
            "$.messages[*].content[*].file_id",
        ),
    ];
    for (member, kind, path) in anthropic {
        let asked = messages(&format!(r#"{{"model":"m",{member}}}"#));
        assert_eq!(references(&asked), [(kind, path)], "{member}");
    }
    let asked = chat(
        r#"{"messages":[{"content":[{"type":"file","file":{"file_id":"f"}}]},{"audio":{"id":"a"}}]}"#,
    );
    assert_eq!(references(&asked).len(), 2);
}

#[test]
fn replayed_items_and_content_are_no_references() {
    let asked = responses(
        r#"{"model":"m","input":[{"type":"message","id":"msg_1","role":"assistant","content":[]},
            {"id":"fc_1","type":"function_call","call_id":"c","name":"f","arguments":"{\"file_id\":\"x\"}"},
            {"type":"function_call_output","output":"{\"previous_response_id\":\"x\"}"}],
            "tools":[{"type":"file_search","vector_store_ids":[]}],"conversation":{}}"#,
    );
    assert_eq!(references(&asked), []);
}

#[test]
fn a_wrong_kind_is_a_fault_that_names_its_path() {
    let table = [
        ("[]", "$"),
        (r#"{"model":7}"#, "$.model"),
        (r#"{"model":["a"]}"#, "$.model"),
        (r#"{"stream":"true"}"#, "$.stream"),
        (r#"{"stream":1}"#, "$.stream"),
        (r#"{"tools":{"type":"mcp"}}"#, "$.tools"),
        (r#"{"tools":["mcp"]}"#, "$.tools[*]"),
        (r#"{"tools":[null]}"#, "$.tools[*]"),
        (r#"{"tools":[{"type":["mcp"]}]}"#, "$.tools[*].type"),
        (r#"{"max_output_tokens":"9"}"#, "$.max_output_tokens"),
        (r#"{"max_output_tokens":-1}"#, "$.max_output_tokens"),
        (r#"{"max_output_tokens":1e9}"#, "$.max_output_tokens"),
        (r#"{"previous_response_id":{}}"#, "$.previous_response_id"),
        (r#"{"conversation":["c"]}"#, "$.conversation"),
        (r#"{"prompt":"pmpt_1"}"#, "$.prompt"),
        (r#"{"background":"yes"}"#, "$.background"),
        (r#"{"store":0}"#, "$.store"),
        (r#"{"metadata":"x"}"#, "$.metadata"),
        (r#"{"user":{}}"#, "$.user"),
        (r#"{"input":[{"type":1}]}"#, "$.input[*].type"),
        (r#"{"input":[{"id":{}}]}"#, "$.input[*].id"),
        (
            r#"{"tools":[{"vector_store_ids":{}}]}"#,
            "$.tools[*].vector_store_ids",
        ),
    ];
    for (body, path) in table {
        let fault = read(Dialect::OpenAi, Endpoint::Responses, body).expect_err(body);
        assert_eq!(fault.path, path, "{body}");
    }
    for (body, path) in [
        (r#"{"fallbacks":"other"}"#, "$.fallbacks"),
        (r#"{"fallbacks":{"model":"x"}}"#, "$.fallbacks"),
        (r#"{"fallbacks":[["x"]]}"#, "$.fallbacks[*]"),
        (r#"{"fallbacks":[{"model":["x"]}]}"#, "$.fallbacks[*].model"),
    ] {
        let fault = read(Dialect::Anthropic, Endpoint::Messages, body).expect_err(body);
        assert_eq!(fault.path, path, "{body}");
    }
}

#[test]
fn every_governed_endpoint_has_a_table() {
    let governed: Vec<_> = Dialect::ALL
        .iter()
        .flat_map(|&dialect| {
            Endpoint::ALL
                .iter()
                .map(move |&endpoint| (dialect, endpoint))
        })
        .filter(|&(dialect, endpoint)| Governed::of(dialect, endpoint).is_some())
        .map(|(_, endpoint)| endpoint.as_str())
        .collect();
    let expected = [
        "chat-completions",
        "responses",
        "responses-compact",
        "responses-input-tokens",
        "embeddings",
        "completions",
        "moderations",
        "decisions",
        "image-generations",
        "image-edits",
        "speech",
        "transcriptions",
        "client-secrets",
        "messages",
        "count-tokens",
        "complete",
    ];
    assert_eq!(governed, expected);
}

#[test]
fn the_parts_of_a_form_are_read_as_its_members_would_be() {
    let read = |endpoint, parts: &[(&str, &str)]| {
        let governed = Governed::of(Dialect::OpenAi, endpoint).expect("it is governed");
        let boundary = Boundary::of(b"multipart/form-data; boundary=b").expect("a boundary");
        let mut scanner = FormScanner::new(&boundary, governed.form());
        let part = |(head, content): &(&str, &str)| {
            format!("--b\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n")
        };
        let parts: Vec<_> = parts.iter().map(part).collect();
        let body = format!("{}--b--", parts.concat());
        scanner.push(body.as_bytes()).expect("readable");
        governed.read_form(scanner.finish().expect("whole"))
    };
    let file = ("name=\"image[]\"; filename=a", "PNG");
    let model = ("name=model", "gpt-image-1");
    let asked =
        read(Endpoint::ImageEdits, &[model, ("name=n", "3"), file, file]).expect("readable");
    assert_eq!((asked.model(), asked.choices), (Some("gpt-image-1"), 3));
    assert_eq!(asked.input_estimate, 3 + 2 * MEDIA_TOKENS);
    let asked = read(Endpoint::Transcriptions, &[("name=stream", "true")]).expect("readable");
    assert!(asked.stream && asked.model().is_none());
    for (part, path) in [
        (("name=stream", "True"), "$.stream"),
        (("name=stream", "1"), "$.stream"),
        (("name=models", "[]"), "$.models"),
        (("name=metadata", "{}"), "$.metadata"),
    ] {
        let fault = read(Endpoint::Transcriptions, &[part]).expect_err(path);
        assert_eq!(fault.path, path);
    }
    for count in ["", "-1", "+1", "1.0", "1e3", "99999999999999999999"] {
        let fault = read(Endpoint::ImageEdits, &[model, ("name=n", count)]).expect_err(count);
        assert_eq!(fault.path, "$.n");
    }
}

#[test]
fn token_arrays_and_media_are_estimated() {
    let body = format!(r#"{{"model":"m","input":[{}1]}}"#, "12345,".repeat(999));
    let asked = read(Dialect::OpenAi, Endpoint::Embeddings, &body).expect("readable");
    assert!(
        (900..1200).contains(&asked.input_estimate),
        "{}",
        asked.input_estimate
    );
    let image = format!("data:image/png;base64,{}", "iVBORw0KGgo".repeat(400));
    let asked = chat(&format!(
        r#"{{"messages":[{{"content":[{{"image_url":{{"url":"{image}"}}}}]}}]}}"#
    ));
    assert!(
        (1000..1100).contains(&asked.input_estimate),
        "{}",
        asked.input_estimate
    );
}

#[test]
fn what_two_parsers_could_read_differently_is_a_fault() {
    use crate::units::Code;
    let scan = |dialect, endpoint, body: &str| {
        let governed = Governed::of(dialect, endpoint).expect("governed");
        let mut scanner = Scanner::new(governed.paths(), Rules::STRICT);
        scanner
            .push(body.as_bytes())
            .and_then(|()| scanner.finish())
            .map_err(|fault| super::scan_code(&fault))
    };
    let responses = |body: &str| scan(Dialect::OpenAi, Endpoint::Responses, body).map(drop);
    for body in [
        r#"{"model":"a","model":"b"}"#,
        r#"{"model":"a","mod\u0065l":"b"}"#,
        r#"{"model":"a","Model":"b"}"#,
        r#"{"tools":[{"type":"function","type":"mcp"}]}"#,
        r#"{"tools":[],"Tools":[{"type":"mcp"}]}"#,
        r#"{"metadata":{"tEnAnT":"x"}}"#,
        r#"{"previous_response_ID":"x"}"#,
    ] {
        assert_eq!(responses(body), Err(Code::BodyAmbiguous), "{body}");
    }
    let spellings =
        r#"{"metadata":{"tenant_id":"a","TENANT_ID":"b","tenantId":"c","model":1,"Model":2}}"#;
    assert_eq!(responses(spellings), Ok(()));
    assert_eq!(
        responses(&("[".repeat(600) + &"]".repeat(600))),
        Err(Code::BodyTooDeep)
    );
    assert_eq!(responses("{\"model\":}"), Err(Code::BodyMalformed));
}

#[test]
fn every_other_model_that_is_named_is_found() {
    let models = |asked: &Asked| -> Vec<String> {
        asked
            .other_models()
            .map(|(model, _)| model.to_owned())
            .collect()
    };
    let asked = chat(r#"{"model":"a","moderation":{"policy":{},"mod\u0065l":"omni"}}"#);
    assert_eq!(models(&asked), ["omni"]);
    let asked = responses(
        r#"{"moderation":{"model":"omni"},"tools":[{"type":"image_generation","model":"i","svg":{"model":"s"}}],
            "input":[{"type":"tool_search_output","tools":[{"type":"image_generation","model":"j","svg":{"model":"t"}}]}]}"#,
    );
    assert_eq!(models(&asked), ["omni", "i", "s", "j", "t"]);
    let fault = read(
        Dialect::OpenAi,
        Endpoint::ChatCompletions,
        r#"{"moderation":{"model":7}}"#,
    )
    .expect_err("no model id");
    assert_eq!(fault.path, "$.moderation.model");
}

#[test]
fn tiers_speeds_and_places_are_found() {
    let tiers = |asked: &Asked| -> Vec<(String, &'static str)> {
        asked
            .tiers()
            .map(|(tier, path)| (tier.to_owned(), path))
            .collect()
    };
    let asked = chat(r#"{"service_t\u0069er":"priority"}"#);
    assert_eq!(tiers(&asked), [("priority".into(), "$.service_tier")]);
    assert_eq!(asked.service_tier(), Some("priority"));
    let asked = chat(r#"{"service_tier":null}"#);
    assert_eq!((tiers(&asked), asked.service_tier()), (vec![], None));
    let asked = messages(
        r#"{"speed":"fast","service_tier":"auto","inference_geo":"global","fallbacks":[{"model":"b","speed":"slow"}]}"#,
    );
    assert_eq!(
        tiers(&asked),
        [
            ("fast".into(), "$.speed"),
            ("auto".into(), "$.service_tier"),
            ("slow".into(), "$.fallbacks[*].speed")
        ]
    );
    assert_eq!(asked.inference_geo(), Some("global"));
    assert_eq!(
        hosted(&messages(
            r#"{"billing_policy":{"bill_to":"user_profile"}}"#
        )),
        ["billing_policy"]
    );
}

#[test]
fn reasoning_without_its_sealed_content_is_a_reference() {
    let item =
        |members: &str| format!(r#"{{"input":[{{"role":"user","content":"a"}},{{{members}}}]}}"#);
    let sealed = "s".repeat(70_000);
    let whole =
        format!(r#""type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"{sealed}""#);
    let turned = format!(r#""encrypted_content":"{sealed}","id":"rs_1","type":"reasoning""#);
    for members in [&whole, &turned, r#""type":"reasoning","summary":[]"#] {
        assert_eq!(references(&responses(&item(members))), [], "{members:.60}");
    }
    for members in [
        r#""type":"reasoning","id":"rs_1","summary":[]"#,
        r#""id":"rs_1","type":"reasoning","encrypted_content":null"#,
        r#""id":"rs_1","type":"reasoning","encrypted_content":"""#,
        r#""encrypted_content":null,"type":"r\u0065asoning","id":"rs_1""#,
    ] {
        let asked = responses(&item(members));
        assert_eq!(
            references(&asked),
            [(ReferenceKind::Item, "$.input[*].id")],
            "{members}"
        );
    }
    // Two items are not taken for one.
    let asked = responses(
        r#"{"input":[{"type":"reasoning","id":"a"},{"type":"message","id":"b","encrypted_content":"x"}]}"#,
    );
    assert_eq!(references(&asked).len(), 1);
}

#[test]
fn what_shall_be_kept_is_found() {
    for (body, keeps) in [
        (
            r#"{"prompt_cache_retention":"24h"}"#,
            Some("$.prompt_cache_retention"),
        ),
        (r#"{"prompt_cache_retention":"in_memory"}"#, None),
        (
            r#"{"prompt_cache_options":{"ttl":"12h"}}"#,
            Some("$.prompt_cache_options.ttl"),
        ),
        (r#"{"prompt_cache_options":{"ttl":"30m"}}"#, None),
        (
            r#"{"tools":[{"type":"code_interpreter","container":{"type":"auto"}}]}"#,
            Some("$.tools[*].container"),
        ),
    ] {
        assert_eq!(responses(body).keeps, keeps, "{body}");
    }
    assert_eq!(messages(r#"{"thread":{}}"#).keeps, Some("$.thread"));
}
