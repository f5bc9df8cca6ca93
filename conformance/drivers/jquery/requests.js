// What is done to the requests that the client makes by itself.

const swaps = new Map(), aborts = new Set();

// swapRedirect leads the redirect in negotiate answers of this origin somewhere else.
export function swapRedirect(origin, { from, to }) { swaps.set(origin, (text) => text.replaceAll(from, to)); }

// aborted waits until every abort that was begun has been answered.
export async function aborted() { await Promise.allSettled([...aborts]); }

// watchRequests is called once in a page, before its first connection.
export function watchRequests() {
  $.ajaxPrefilter((options, _, xhr) => {
    const { origin, pathname } = new URL(options.url, location.href);
    if (pathname.endsWith("/negotiate") && swaps.has(origin)) options.dataFilter = swaps.get(origin);
    if (pathname.endsWith("/abort")) watch(new Promise((resolve) => xhr.always(resolve)));
  });
  // From 2.4.2 the abort is a fetch.
  const { fetch } = window;
  window.fetch = (url, ...rest) => {
    const answer = fetch(url, ...rest);
    if (String(url).includes("/abort?")) watch(answer);
    return answer;
  };
}

function watch(answer) {
  aborts.add(answer);
  answer.catch(() => {}).then(() => aborts.delete(answer));
}
