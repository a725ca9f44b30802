//! The named endpoints of the model providers, as policy, metrics and logs call them; and of each, what a policy must
//! say to open it, and what the rules do not see once it is open.
//! Must never decide anything: what is open to whom is policy, what is governed is the dialect's.

/// What it takes for a tenant to use an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// Nothing: its requests are read and judged.
    Always,
    /// Its word in `endpoints.allow`, or `*`.
    Listed,
    /// Its own word: its requests name models, or let others, that no rule sees.
    ByWord,
}

macro_rules! endpoints {
    ($($(#[doc = $doc:literal])* $variant:ident $word:literal $opening:ident $unseen:literal;)*) => {
        /// A provider endpoint, or the family of paths it stands for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Endpoint { $($(#[doc = $doc])* $variant,)* }

        impl Endpoint {
            /// Every endpoint.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word used in policy, labels and logs.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $word,)* } }

            /// The endpoint of that word.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }

            /// What it takes to use it.
            pub const fn opening(self) -> Opening { match self { $(Self::$variant => Opening::$opening,)* } }

            /// What the rules do not see of it, for people; empty if they see it all.
            pub const fn unseen(self) -> &'static str { match self { $(Self::$variant => $unseen,)* } }

            /// Which paths it stands for.
            pub const fn paths(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),*).trim_ascii_start(),)* }
            }
        }
    };
}

endpoints! {
    /// OpenAI `POST /chat/completions`.
    ChatCompletions "chat-completions" Always "";
    /// OpenAI `POST /responses`.
    Responses "responses" Always "";
    /// OpenAI `POST /responses/compact`.
    ResponsesCompact "responses-compact" Always "";
    /// OpenAI `POST /responses/input_tokens`.
    ResponsesInputTokens "responses-input-tokens" Always "";
    /// OpenAI `POST /embeddings`.
    Embeddings "embeddings" Always "";
    /// Anthropic `POST /messages`.
    Messages "messages" Always "";
    /// Anthropic `POST /messages/count_tokens`.
    CountTokens "count-tokens" Always "";
    /// `GET /models` and `GET /models/{id}`, both dialects.
    Models "models" Always "";
    /// OpenAI legacy `POST /completions`.
    Completions "completions" Listed "";
    /// OpenAI `POST /moderations`.
    Moderations "moderations" Listed "";
    /// OpenAI `POST /decisions`.
    Decisions "decisions" Listed "";
    /// OpenAI `POST /images/generations`.
    ImageGenerations "image-generations" Listed "images whose answer reports no usage are not counted";
    /// OpenAI `POST /images/edits` and `/images/variations`, as a form or JSON.
    ImageEdits "image-edits" Listed "images whose answer reports no usage are not counted";
    /// OpenAI `POST /audio/speech`.
    Speech "speech" Listed "of audio that reports no usage, only the text it is made of is counted";
    /// OpenAI `POST /audio/transcriptions` and `/audio/translations`, as a form.
    Transcriptions "transcriptions" Listed "audio whose answer reports no tokens is counted by a flat figure for each file";
    /// OpenAI `POST /realtime/client_secrets` and its older forms.
    ClientSecrets "client-secrets" ByWord "only the models it names are checked: whoever holds the secret talks to the provider directly, and nothing of that is checked, limited, counted or logged";
    /// OpenAI `/responses/{id}` and below, `/conversations`, stored chat completions.
    ResponseState "response-state" Listed "usage of work that went on after its answer is not counted when it is read";
    /// OpenAI `/images` otherwise.
    Images "images" ByWord "the requests are passed on unread: their models and usage are neither checked nor counted";
    /// OpenAI `/audio` otherwise: voices.
    Audio "audio" ByWord "the requests are passed on unread: their models and usage are neither checked nor counted";
    /// OpenAI `/videos`.
    Videos "videos" ByWord "the requests are passed on unread: their models and usage are neither checked nor counted";
    /// `/files` and `/uploads`, both dialects.
    Files "files" Listed "what the files hold, and how long they stay, is not checked";
    /// OpenAI `/batches`, Anthropic `/messages/batches`.
    Batches "batches" ByWord "a batch holds whole requests, most often in a file: their models, caps, tools and usage are neither checked nor counted";
    /// OpenAI `/vector_stores`.
    VectorStores "vector-stores" Listed "searches and storage, which cost money, are not counted";
    /// OpenAI `/containers`.
    Containers "containers" Listed "what runs in them, and whom that reaches, is not checked";
    /// `/skills`, both dialects.
    Skills "skills" Listed "what a skill does is not checked";
    /// OpenAI `/fine_tuning`, `/evals`, `/graders`, and deletion of a model.
    Training "training" ByWord "its jobs run models of their own: neither these nor their usage are checked or counted";
    /// OpenAI `/realtime` and `/live` otherwise: calls and sessions.
    Realtime "realtime" ByWord "the requests are passed on unread, and what is said in a session goes past the sidecar";
    /// OpenAI `/assistants` and `/threads`.
    Assistants "assistants" ByWord "runs name models and tools of their own: they are neither checked nor counted";
    /// Anthropic legacy `POST /complete`.
    Complete "complete" Listed "";
    /// Managed agents: `/agents`, OpenAI `/chatkit`, Anthropic `/sessions`, `/environments` and their kin.
    ManagedAgents "managed-agents" ByWord "agents run at the provider with models and tools of their own: they are neither checked nor counted";
    /// `/organizations`, `/webhook_endpoints`, `/safety`, `/user_profiles`: administration, both dialects.
    Administration "administration" ByWord "the requests are passed on unread, under whatever rights the credential has";
    /// Anything else on a provider's host.
    Other "other" ByWord "nothing is known of the path: the requests are passed on unread";
}
