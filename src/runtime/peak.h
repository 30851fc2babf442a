// What a refusal for want of memory says: whose memory it is, and the way out.
#pragma once

#include "base/error.h"
#include "runtime/binding.h"

namespace vitrify {

/// Whose memory it is.
struct Claim {
  std::string where;  ///< the user's node
  std::string what;   ///< a sentence
};

/// Of a binding's arena: the step at which most of it is in use.
Claim claim_of_arena(const Engine& engine, const LoadedPlan& plan, const Binding& binding);
Claim claim_of_output(const Graph& graph, size_t output);

/// Runs f. When it throws an Error, what `claim()` gives is added to the message.
template <class F, class G>
void with_claim(G&& claim, F&& f) {
  try {
    f();
  } catch (const Error& e) {
    const Claim whose = claim();
    throw Error(e.kind(), cat(e.message(), "; ", whose.what), whose.where);
  }
}

}  // namespace vitrify
