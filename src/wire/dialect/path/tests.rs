//! Tables of paths, plain and hostile.

use http::Method;
use proptest::prelude::*;

use super::{PathFault, classify};
use crate::units::{Dialect, Endpoint};

fn read(dialect: Dialect, method: &str, path: &str) -> Result<(Endpoint, String), PathFault> {
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    classify(dialect, &method, path).map(|found| (found.endpoint, found.path.to_owned()))
}

#[test]
fn every_family_has_its_word() {
    let openai = [
        ("POST", "/chat/completions", Endpoint::ChatCompletions),
        ("GET", "/chat/completions", Endpoint::ResponseState),
        (
            "DELETE",
            "/chat/completions/chatcmpl-1",
            Endpoint::ResponseState,
        ),
        ("POST", "/responses", Endpoint::Responses),
        ("GET", "/responses", Endpoint::ResponseState),
        ("GET", "/responses/resp_1", Endpoint::ResponseState),
        ("POST", "/responses/resp_1/cancel", Endpoint::ResponseState),
        ("POST", "/responses/compact", Endpoint::ResponsesCompact),
        (
            "POST",
            "/responses/input_tokens",
            Endpoint::ResponsesInputTokens,
        ),
        ("GET", "/responses/compact", Endpoint::ResponseState),
        ("POST", "/responses/compact/x", Endpoint::ResponseState),
        (
            "GET",
            "/conversations/conv_1/items/msg_1",
            Endpoint::ResponseState,
        ),
        ("POST", "/embeddings", Endpoint::Embeddings),
        ("GET", "/embeddings", Endpoint::Other),
        ("POST", "/completions", Endpoint::Completions),
        ("POST", "/moderations", Endpoint::Moderations),
        ("GET", "/models", Endpoint::Models),
        ("GET", "/models/ft:gpt-5.6-mini:acme::1", Endpoint::Models),
        ("GET", "/models/ft%3Agpt-5.6-mini%3Aacme", Endpoint::Models),
        ("GET", "/models/meta-llama/Llama-4", Endpoint::Models),
        (
            "DELETE",
            "/models/ft:gpt-5.6-mini:acme::1",
            Endpoint::Training,
        ),
        ("POST", "/images/generations", Endpoint::ImageGenerations),
        ("POST", "/images/edits", Endpoint::ImageEdits),
        ("POST", "/audio/speech", Endpoint::Speech),
        ("POST", "/audio/transcriptions", Endpoint::Transcriptions),
        ("POST", "/videos/video_1/remix", Endpoint::Videos),
        ("POST", "/files", Endpoint::Files),
        ("POST", "/uploads/upload_1/parts", Endpoint::Files),
        ("POST", "/vector_stores/vs_1/search", Endpoint::VectorStores),
        (
            "GET",
            "/containers/cntr_1/files/f_1/content",
            Endpoint::Containers,
        ),
        ("GET", "/skills", Endpoint::Skills),
        ("POST", "/batches", Endpoint::Batches),
        ("POST", "/fine_tuning/jobs", Endpoint::Training),
        ("POST", "/evals", Endpoint::Training),
        ("POST", "/realtime/client_secrets", Endpoint::ClientSecrets),
        ("POST", "/realtime/sessions", Endpoint::ClientSecrets),
        (
            "POST",
            "/realtime/translations/client_secrets",
            Endpoint::ClientSecrets,
        ),
        ("POST", "/realtime/calls", Endpoint::Realtime),
        ("GET", "/realtime/client_secrets", Endpoint::Realtime),
        ("POST", "/agents/sessions", Endpoint::ManagedAgents),
        ("GET", "/live/sessions/s/attach", Endpoint::Realtime),
        ("POST", "/threads/t/runs", Endpoint::Assistants),
        ("GET", "/organization/usage/costs", Endpoint::Administration),
        ("POST", "/decisions", Endpoint::Decisions),
        ("GET", "/decisions", Endpoint::Other),
        ("POST", "/messages", Endpoint::Other),
        ("GET", "/", Endpoint::Other),
    ];
    for (method, path, endpoint) in openai {
        assert_eq!(
            read(Dialect::OpenAi, method, path),
            Ok((endpoint, path.to_owned())),
            "{path}"
        );
    }
}

#[test]
fn every_family_of_anthropic_has_its_word() {
    let anthropic = [
        ("POST", "/messages", Endpoint::Messages),
        ("GET", "/messages", Endpoint::Other),
        ("POST", "/messages/count_tokens", Endpoint::CountTokens),
        ("POST", "/messages/batches", Endpoint::Batches),
        ("GET", "/messages/batches/b/results", Endpoint::Batches),
        ("GET", "/models/claude-haiku-5-5", Endpoint::Models),
        ("POST", "/complete", Endpoint::Complete),
        ("POST", "/files", Endpoint::Files),
        ("POST", "/skills", Endpoint::Skills),
        ("POST", "/sessions/s/events", Endpoint::ManagedAgents),
        ("GET", "/organizations/users", Endpoint::Administration),
        ("GET", "/user_profiles", Endpoint::Administration),
        ("POST", "/chat/completions", Endpoint::Other),
    ];
    for (method, path, endpoint) in anthropic {
        let found = read(Dialect::Anthropic, method, path);
        assert_eq!(found, Ok((endpoint, path.to_owned())), "{path}");
    }
}

#[test]
fn versions_and_a_trailing_slash_are_tolerated() {
    for path in [
        "/responses",
        "/v1/responses",
        "/v1/v1/responses",
        "/responses/",
        "/v1/responses/",
    ] {
        let expected = Ok((Endpoint::Responses, "/responses".to_owned()));
        assert_eq!(read(Dialect::OpenAi, "POST", path), expected, "{path}");
    }
    for path in ["", "/", "/v1", "/v1/", "/v1/v1/"] {
        assert_eq!(
            read(Dialect::OpenAi, "GET", path),
            Ok((Endpoint::Other, "/".to_owned())),
            "{path}"
        );
    }
}

#[test]
fn what_servers_could_route_differently_is_refused() {
    let table = [
        ("/chat//completions", PathFault::Segment),
        ("//chat/completions", PathFault::Segment),
        ("/chat/completions//", PathFault::Segment),
        ("/files/../chat/completions", PathFault::Segment),
        ("/./chat/completions", PathFault::Segment),
        ("/files/..", PathFault::Segment),
        ("/chat%2fcompletions", PathFault::Escape),
        ("/chat/%63ompletions", PathFault::Escape),
        ("/files/%2e%2e/chat/completions", PathFault::Escape),
        ("/models/..%2fchat", PathFault::Escape),
        ("/models/a%2Fb", PathFault::Escape),
        ("/models/a%5cb", PathFault::Escape),
        ("/models/a%00", PathFault::Escape),
        ("/models/%2e%2E", PathFault::Escape),
        ("/models/.%2e", PathFault::Escape),
        ("/models/%2e", PathFault::Escape),
        ("/models/%252e", PathFault::Escape),
        ("/models/a%c0%af", PathFault::Escape),
        ("/models/a%3Fb", PathFault::Escape),
        ("/models/a%3", PathFault::Escape),
        ("/models/a%zz", PathFault::Escape),
        ("/models/a%3Ab/c", PathFault::Escape),
        ("/chat\\completions", PathFault::Byte),
        ("/chat/completions;v=1", PathFault::Byte),
        ("/chat/completions\u{e9}", PathFault::Byte),
        ("/chat/completions\t", PathFault::Byte),
        ("/chat/completions ", PathFault::Byte),
        ("/chat/completions#x", PathFault::Byte),
        ("chat/completions", PathFault::Byte),
        ("/Chat/completions", PathFault::Spelling),
        ("/RESPONSES", PathFault::Spelling),
        ("/V1/responses", PathFault::Spelling),
        ("/v1/v1/v1/responses", PathFault::Spelling),
        ("/v1/V1/responses", PathFault::Spelling),
    ];
    for (path, fault) in table {
        assert_eq!(read(Dialect::OpenAi, "POST", path), Err(fault), "{path}");
    }
}

proptest! {
    #[test]
    fn reading_again_what_was_read_changes_nothing(path in "/?(v1/|V1/|models/|chat/|completions|%3a|%2e|\\.|/|[a-zé\\\\]){0,6}") {
        if let Ok((endpoint, canonical)) = read(Dialect::OpenAi, "GET", &path) {
            prop_assert!(canonical.starts_with('/') && !canonical.contains("//"));
            prop_assert_eq!(read(Dialect::OpenAi, "GET", &canonical), Ok((endpoint, canonical)));
        }
    }
}
