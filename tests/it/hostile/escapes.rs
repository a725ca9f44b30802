//! The ways around a policy that the providers' protocols have, each closed under the built-in `standard`.

use super::house::{ACME, After, House, Shape, Trial, post};

const CHAT: &str = "/openai/v1/chat/completions";
const RESPONSES: &str = "/openai/v1/responses";
const MESSAGES: &str = "/anthropic/v1/messages";
const COUNT: &str = "/anthropic/v1/messages/count_tokens";

const HOSTED: (u16, &str) = (403, "hosted-tool-denied");
const REFERENCE: (u16, &str) = (403, "reference-denied");

fn with(members: &str) -> String {
    format!("{{\"model\":\"m\",{members}}}")
}

#[test]
fn tools_at_the_provider_are_denied_by_every_name() {
    let mut trial = Trial::of(House::plain());
    let openai = [
        "web_search",
        "web_search_2025_08_26",
        "web_search_preview",
        "web_search_preview_2025_03_11",
        "file_search",
        "code_interpreter",
        "shell",
        "image_generation",
        "mcp",
        "programmatic_tool_calling",
        "tool_search",
        "browser",
        "Function",
        "anything_new",
        "",
    ];
    for kind in openai {
        for route in [CHAT, RESPONSES] {
            let body = with(&format!(
                "\"tools\":[{{\"type\":\"function\"}},{{\"type\":\"{kind}\"}}]"
            ));
            trial.refuses(
                &format!("{route} {kind}"),
                &post(route, ACME, &body),
                HOSTED,
                Shape::OpenAi,
                After::Either,
            );
        }
        let nested = with(&format!(
            "\"tools\":[{{\"type\":\"namespace\",\"tools\":[{{\"type\":\"{kind}\"}}]}}]"
        ));
        trial.refuses(
            &format!("nested {kind}"),
            &post(RESPONSES, ACME, &nested),
            HOSTED,
            Shape::OpenAi,
            After::Either,
        );
    }
    for members in [
        "\"tools\":[{\"type\":\"\\u006dcp\",\"server_url\":\"https://x\"}]",
        "\"tools\":[{\"type\":\"mcp\",\"connector_id\":\"c\"}]",
        "\"tools\":[{\"type\":\"mcp\",\"tunnel_id\":\"t\"}]",
        "\"tools\":[{\"server_url\":\"https://x\",\"type\":\"mcp\"}]",
        "\"tools\":[{\"type\":\"namespace\",\"tools\":[{\"type\":\"namespace\"}]}]",
        "\"tools\":[{\"type\":\"shell\",\"environment\":{\"type\":\"container_auto\"}}]",
        "\"input\":[{\"type\":\"x\",\"tools\":[{\"type\":\"mcp\"}]}]",
        "\"prompt\":{\"id\":\"pmpt_1\"}",
    ] {
        trial.refuses(
            members,
            &post(RESPONSES, ACME, &with(members)),
            HOSTED,
            Shape::OpenAi,
            After::Either,
        );
    }
    for members in [
        "\"web_search_options\":{}",
        "\"web_search_options\":true",
        "\"search_parameters\":{}",
        "\"plugins\":[{}]",
    ] {
        trial.refuses(
            members,
            &post(CHAT, ACME, &with(members)),
            HOSTED,
            Shape::OpenAi,
            After::Either,
        );
    }
    let anthropic = [
        "web_search_20250305",
        "web_search_20260209",
        "web_search_20260318",
        "web_search_20991231",
        "web_fetch_20250910",
        "code_execution_20250522",
        "code_execution_20250825",
        "advisor_20260301",
        "tool_search_tool_regex_20251119",
        "tool_search_tool_bm25",
        "mcp_toolset",
        "Custom",
        "anything_new",
    ];
    for kind in anthropic {
        for route in [MESSAGES, COUNT] {
            let body = with(&format!(
                "\"max_tokens\":1,\"tools\":[{{\"type\":\"{kind}\",\"name\":\"x\"}}]"
            ));
            trial.refuses(
                &format!("{route} {kind}"),
                &post(route, ACME, &body),
                HOSTED,
                Shape::Anthropic,
                After::Either,
            );
        }
    }
    for members in [
        "\"mcp_servers\":[{\"type\":\"url\",\"url\":\"https://x\"}]",
        "\"mcp_servers\":{}",
        "\"fallbacks\":\"default\"",
        "\"billing_policy\":{\"type\":\"billing_policy\",\"bill_to\":\"user_profile\"}",
    ] {
        for route in [MESSAGES, COUNT] {
            trial.refuses(
                &format!("{route} {members}"),
                &post(route, ACME, &with(members)),
                HOSTED,
                Shape::Anthropic,
                After::Either,
            );
        }
    }
    for members in [
        "\"tools\":[{\"type\":\"function\"},{\"type\":\"custom\"}],\"messages\":[]",
        "\"metadata\":{\"a\":\"web_search\"},\"x\":{\"tools\":[{\"type\":\"mcp\"}]}",
    ] {
        trial.passes(members, &post(RESPONSES, ACME, &with(members)));
    }
    trial.end(80);
}

#[test]
fn state_at_the_provider_is_out_of_reach_where_tenants_share_a_key() {
    let mut trial = Trial::of(House::plain());
    let responses = [
        "\"previous_response_id\":\"resp_1\"",
        "\"conversation\":\"conv_1\"",
        "\"conversation\":{\"id\":\"conv_1\"}",
        "\"input\":[{\"type\":\"item_reference\",\"id\":\"i\"}]",
        "\"input\":[{\"id\":\"i\"}]",
        "\"input\":[{\"type\":null,\"id\":\"i\"}]",
        "\"input\":[{\"id\":\"i\",\"type\":\"item_\\u0072eference\"}]",
        "\"input\":[{\"type\":\"image_generation_call\",\"id\":\"ig_1\"}]",
        "\"input\":[{\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[]}]",
        "\"input\":[{\"id\":\"rs_1\",\"encrypted_content\":null,\"type\":\"r\\u0065asoning\"}]",
        "\"input\":[{\"type\":\"x\",\"tools\":[{\"type\":\"function\",\"vector_store_ids\":[\"vs_1\"]}]}]",
        "\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_file\",\"file_id\":\"f\"}]}]",
        "\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_image\",\"file_id\":\"f\"}]}]",
        "\"input\":[{\"type\":\"function_call_output\",\"output\":[{\"type\":\"input_file\",\"file_id\":\"f\"}]}]",
        "\"input\":[{\"type\":\"computer_call_output\",\"output\":{\"file_id\":\"f\"}}]",
        "\"prompt_cache_options\":{\"comparison_response_id\":\"resp_1\"}",
        "\"background_options\":{\"continuation_id\":\"c\"}",
        "\"tools\":[{\"type\":\"function\",\"vector_store_ids\":[\"vs_1\"]}]",
        "\"tools\":[{\"type\":\"function\",\"container\":\"cntr_1\"}]",
        "\"tools\":[{\"type\":\"function\",\"container\":{\"type\":\"auto\",\"file_ids\":[\"f\"]}}]",
        "\"tools\":[{\"type\":\"function\",\"input_image_mask\":{\"file_id\":\"f\"}}]",
    ];
    for members in responses {
        trial.refuses(
            members,
            &post(RESPONSES, ACME, &with(members)),
            REFERENCE,
            Shape::OpenAi,
            After::Either,
        );
    }
    for members in [
        "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"file\",\"file\":{\"file_id\":\"f\"}}]}]",
        "\"messages\":[{\"role\":\"assistant\",\"audio\":{\"id\":\"audio_1\"}}]",
    ] {
        trial.refuses(
            members,
            &post(CHAT, ACME, &with(members)),
            REFERENCE,
            Shape::OpenAi,
            After::Either,
        );
    }
    let source = "{\"type\":\"document\",\"source\":{\"type\":\"file\",\"file_id\":\"f\"}}";
    let messages = [
        "\"container\":\"c\"".to_owned(),
        "\"container\":{\"id\":\"c\"}".to_owned(),
        "\"container\":{\"skills\":[{\"skill_id\":\"s\"}]}".to_owned(),
        "\"thread\":\"t\"".to_owned(),
        "\"thread\":{\"id\":\"t\"}".to_owned(),
        format!("\"system\":[{source}]"),
        format!("\"messages\":[{{\"role\":\"user\",\"content\":[{source}]}}]"),
        "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"container_upload\",\"file_id\":\"f\"}]}]".to_owned(),
        format!("\"messages\":[{{\"role\":\"user\",\"content\":[{{\"type\":\"tool_result\",\"content\":[{source}]}}]}}]"),
        format!("\"messages\":[{{\"role\":\"user\",\"content\":[{{\"type\":\"document\",\"source\":{{\"type\":\"content\",\"content\":[{source}]}}}}]}}]"),
        format!("\"messages\":[{{\"role\":\"user\",\"content\":[{{\"content\":[{{\"source\":{{\"content\":[{source}]}}}}]}}]}}]"),
    ];
    for members in &messages {
        for route in [MESSAGES, COUNT] {
            trial.refuses(
                &format!("{route} {members}"),
                &post(route, ACME, &with(members)),
                REFERENCE,
                Shape::Anthropic,
                After::Either,
            );
        }
    }
    trial.end(40);
}

#[test]
fn other_models_background_and_missing_models_are_judged() {
    let mut trial = Trial::of(House::with(&format!(
        "{}[policies.standard]\nmodels.allow = [\"m\", \"n-*\"]\nmodels.deny = [\"n-9*\"]\nmodels.max_output_tokens = 100\n",
        super::house::PLAIN
    )));
    let model = (403, "model-denied");
    for (route, body) in [
        (CHAT, "{\"model\":\"x\"}"),
        (CHAT, "{\"model\":\"M\"}"),
        (CHAT, "{\"model\":\"m \"}"),
        (CHAT, "{\"model\":\"\"}"),
        (CHAT, "{\"model\":\"n-99\"}"),
        (CHAT, "{\"model\":\"\\u0078\"}"),
        (CHAT, "{\"model\":\"m\",\"models\":[\"x\"]}"),
        (
            CHAT,
            "{\"model\":\"m\",\"moderation\":{\"policy\":{},\"model\":\"x\"}}",
        ),
        (
            RESPONSES,
            "{\"model\":\"m\",\"mod\\u0065ration\":{\"model\":\"x\"}}",
        ),
        (
            RESPONSES,
            "{\"model\":\"m\",\"tools\":[{\"type\":\"function\",\"svg\":{\"model\":\"x\"}}]}",
        ),
        (CHAT, "{\"model\":\"m\",\"fallbacks\":[\"x\"]}"),
        (CHAT, "{\"model\":\"m\",\"fallbacks\":[{\"model\":\"x\"}]}"),
        (
            RESPONSES,
            "{\"model\":\"m\",\"tools\":[{\"type\":\"function\",\"model\":\"x\"}]}",
        ),
    ] {
        trial.refuses(
            body,
            &post(route, ACME, body),
            model,
            Shape::OpenAi,
            After::Either,
        );
    }
    for body in [
        "{\"model\":\"m\",\"fallbacks\":[\"x\"]}",
        "{\"model\":\"m\",\"fallbacks\":[{\"model\":\"m\"},{\"model\":\"x\"}]}",
        "{\"model\":\"m\",\"tools\":[{\"type\":\"advisor_20260301\",\"model\":\"x\"}]}",
    ] {
        trial.refuses(
            body,
            &post(MESSAGES, ACME, body),
            model,
            Shape::Anthropic,
            After::Either,
        );
    }
    for body in ["{}", "{\"model\":null}", "{\"prompt\":{\"id\":\"p\"}}"] {
        trial.refuses(
            body,
            &post(RESPONSES, ACME, body),
            (400, "model-missing"),
            Shape::OpenAi,
            After::Either,
        );
    }
    let background = "{\"model\":\"m\",\"background\":true}";
    trial.refuses(
        "background",
        &post(RESPONSES, ACME, background),
        (403, "background-denied"),
        Shape::OpenAi,
        After::Either,
    );
    for id in ["x", "n-99", "%78", "n%2D99", "n-%39"] {
        let bytes = format!(
            "GET /openai/v1/models/{id} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {ACME}\r\n\r\n"
        );
        trial.refuses(
            &format!("models/{id}"),
            bytes.as_bytes(),
            (404, "model-unknown"),
            Shape::OpenAi,
            After::Either,
        );
    }
    for (body, cap) in [
        ("{\"model\":\"m\"}", "\"max_completion_tokens\":100"),
        ("{\"model\":\"m\",\"max_tokens\":101}", "\"max_tokens\":100"),
        (
            "{\"model\":\"m\",\"max_tokens\":50,\"max_completion_tokens\":900}",
            "\"max_completion_tokens\":100",
        ),
        (
            "{\"model\":\"m\",\"n\":10,\"max_tokens\":100}",
            "\"max_tokens\":10,",
        ),
        (
            "{\"model\":\"m\",\"n\":4,\"max_tokens\":20}",
            "\"max_tokens\":20",
        ),
    ] {
        if let Some((seen, _)) = trial.passes(body, &post(CHAT, ACME, body))
            && !format!("{},", seen.body.trim_end_matches('}')).contains(cap)
        {
            trial.fail(format!("{body} became {}", seen.body));
        }
    }
    trial.end(20);
}

#[test]
fn tiers_that_cost_more_are_denied() {
    let mut trial = Trial::of(House::plain());
    let denied = (403, "service-tier-denied");
    for (route, members) in [
        (CHAT, "\"service_tier\":\"priority\""),
        (CHAT, "\"service_tier\":\"fast\""),
        (CHAT, "\"service_tier\":\"Default\""),
        (CHAT, "\"service_tier\":\"\""),
        (RESPONSES, "\"service_tier\":\"ultrafast\""),
        (RESPONSES, "\"service_\\u0074ier\":\"sc\\u0061le\""),
    ] {
        trial.refuses(
            members,
            &post(route, ACME, &with(members)),
            denied,
            Shape::OpenAi,
            After::Either,
        );
    }
    for members in [
        "\"speed\":\"fast\"",
        "\"service_tier\":\"priority\"",
        "\"fallbacks\":[{\"model\":\"m\"},{\"model\":\"m\",\"speed\":\"fast\"}]",
    ] {
        for route in [MESSAGES, COUNT] {
            trial.refuses(
                members,
                &post(route, ACME, &with(members)),
                denied,
                Shape::Anthropic,
                After::Either,
            );
        }
    }
    for (route, members) in [
        (CHAT, "\"service_tier\":\"auto\""),
        (CHAT, "\"service_tier\":null"),
        (RESPONSES, "\"service_tier\":\"flex\""),
        (
            MESSAGES,
            "\"service_tier\":\"standard_only\",\"speed\":\"standard\"",
        ),
        // Content.
        (CHAT, "\"messages\":[{\"service_tier\":\"priority\"}]"),
    ] {
        trial.passes(members, &post(route, ACME, &with(members)));
    }
    trial.end(15);
}
