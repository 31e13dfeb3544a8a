/* transformers' CLIPTextModel: token ids to states, as Stable Diffusion 1 (quick_gelu) and 2 (gelu) use it, and the
 * text half of CLIPModel. Any sizes its config.json gives. */
#ifndef MODELS_CLIP_TEXT_H
#define MODELS_CLIP_TEXT_H

#include "graph/exec.h"
#include "nn/layers.h"

struct cJSON;

typedef struct clip_text_config {
    int width, layers, heads;       /* hidden_size, num_hidden_layers, num_attention_heads */
    int hidden;                     /* intermediate_size */
    int vocabulary, positions;      /* vocab_size, max_position_embeddings */
    int64_t end_id;                 /* eos_token_id */
    float eps;
    bool quick;                     /* hidden_act: quick_gelu, not gelu */
    bool prefixed;                  /* the names begin with "text_model.", as transformers before 5 and CLIPModel's */
} clip_text_config;

/* json: a text model's config.json, or the "text_config" of CLIPModel's. Leaves `prefixed` false. */
int clip_text_config_parse(clip_text_config *c, const struct cJSON *json, m2m_error *err);

/* last_hidden_state [B,L,D] (after final_layer_norm) of token embeddings [B,L,D], or, where the token table is trained,
 * of ids [B,L] (i32, checked by whoever writes them); parameters are declared below the path that n has entered, and
 * "text_model" if prefixed. lens: i32 input [B*L], to be filled by clip_text_lens. */
node *clip_text(nn *n, const clip_text_config *c, node *tokens, node *lens);

/* Layer `index` of encoder.layers, in the image tower too (c: its width, heads, hidden, eps, quick): x [B,L,D]. lens
 * NULL: every token sees all. */
node *clip_layer(nn *n, const clip_text_config *c, int index, node *x, node *lens);

/* What each token sees: itself and those before it. lens [batch*length]. */
void clip_text_lens(int32_t *lens, int batch, int length);

/* Errors: M2M_EINVAL for an id that is not in the vocabulary. */
int clip_text_check(const clip_text_config *c, const int32_t *ids, int64_t n, m2m_error *err);

/* Rows of the token table, whatever its type, for ids [n] -> out [n, D]. Errors: those of
 * clip_text_check. (The table is no node of the graph: it is the largest parameter, of which a text needs 77 rows.) */
int clip_text_embed(const clip_text_config *c, const paramset *params, const int32_t *ids, int64_t n, float *out,
                    m2m_error *err);

/* The token whose state is the pooled output: the first end token; with the eos_token_id 2 of older files, the token of
 * the highest id. */
int clip_text_pooled(const clip_text_config *c, const int32_t *ids, int length);

typedef struct clip_text_graph {
    graph *g;
    nn n;
    node *embedded;      /* input [B,L,D] */
    node *lens;          /* input [B*L] i32 */
    node *states;        /* [B,L,D] */
} clip_text_graph;

/* Builds into *t (owned by the caller, released with clip_text_graph_free also after a failure). Errors: M2M_ESHAPE for
 * a length above `positions`. */
int clip_text_graph_build(clip_text_graph *t, const clip_text_config *c, paramset *params, int batch, int length,
                          m2m_error *err);
void clip_text_graph_free(clip_text_graph *t);

#endif
