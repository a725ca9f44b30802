//! The named endpoints of the model providers, as policy, metrics and logs call them.
//! Must never decide anything: what is open to whom is policy, what is governed is the dialect's.

macro_rules! endpoints {
    ($($(#[doc = $doc:literal])* $variant:ident $word:literal;)*) => {
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
        }
    };
}

endpoints! {
    /// OpenAI `POST /chat/completions`.
    ChatCompletions "chat-completions";
    /// OpenAI `POST /responses`.
    Responses "responses";
    /// OpenAI `POST /embeddings`.
    Embeddings "embeddings";
    /// Anthropic `POST /messages`.
    Messages "messages";
    /// Anthropic `POST /messages/count_tokens`.
    CountTokens "count-tokens";
    /// `GET /models` and `GET /models/{id}`, both dialects.
    Models "models";
    /// OpenAI legacy `POST /completions`.
    Completions "completions";
    /// OpenAI `POST /moderations`.
    Moderations "moderations";
    /// OpenAI `/responses/{id}` and below, `/responses/compact`, `/responses/input_tokens`, `/conversations`.
    ResponseState "response-state";
    /// OpenAI `/images`.
    Images "images";
    /// OpenAI `/audio`.
    Audio "audio";
    /// OpenAI `/videos`.
    Videos "videos";
    /// `/files` and `/uploads`, both dialects.
    Files "files";
    /// OpenAI `/batches`, Anthropic `/messages/batches`.
    Batches "batches";
    /// OpenAI `/vector_stores`.
    VectorStores "vector-stores";
    /// OpenAI `/containers`.
    Containers "containers";
    /// `/skills`, both dialects.
    Skills "skills";
    /// OpenAI `/fine_tuning`, `/evals`, `/graders`, and deletion of a model.
    Training "training";
    /// OpenAI `/realtime` and `/live`, client secrets included.
    Realtime "realtime";
    /// OpenAI `/assistants` and `/threads`.
    Assistants "assistants";
    /// Anthropic legacy `POST /complete`.
    Complete "complete";
    /// Anthropic managed agents: `/agents`, `/sessions`, `/environments` and their kin.
    ManagedAgents "managed-agents";
    /// `/organizations`, `/webhook_endpoints`, `/safety`, `/user_profiles`: administration, both dialects.
    Administration "administration";
    /// Anything else on a provider's host.
    Other "other";
}
