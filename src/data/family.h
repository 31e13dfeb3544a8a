/* The families of composed sets (families.def) and the random looks of their sets. */
#ifndef DATA_FAMILY_H
#define DATA_FAMILY_H

#include "data/augment.h"
#include "base/rng.h"

typedef enum family {
#define FAMILY(name, weight, kind, help) FAMILY_##name,
#include "data/families.def"
#undef FAMILY
    FAMILY_COUNT
} family;

typedef enum family_kind { KIND_RELATED, KIND_SUBJECT } family_kind;

const char *family_name(family f);
const char *family_help(family f);
family_kind family_get_kind(family f);

/* Weights of the families from "plain=2,palette=1" (families left out get 0); NULL: the default mix. Errors:
 * M2M_EINVAL names the part that is no family or no weight. */
int family_weights(double weights[FAMILY_COUNT], const char *text, m2m_error *err);

/* A random look of the family for drawings whose mean colours are given, so that none of them drowns in its ground. */
look family_look(family f, rng *r, const colour *means, int n);
/* Where a picture's drawing goes. */
placement family_placement(family f, rng *r);

#endif
