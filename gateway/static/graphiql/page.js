"use strict";

// GraphiQL on our own address, with the bounds of the last answer under the title.
(() => {
  const strip = document.getElementById("freshness");

  const item = (text, className) => {
    const span = document.createElement("span");
    span.textContent = text;
    span.className = className;
    return span;
  };

  const told = ([name, { maxStalenessMs, status }]) =>
    item(`${name} ${maxStalenessMs ?? "?"} ms ${status}`, status);

  const show = (result) => {
    const readModels = result?.extensions?.freshness?.readModels;
    const items = Object.entries(readModels ?? {}).map(told);
    strip.replaceChildren(
      item("freshness:", ""),
      ...(items.length > 0 ? items : [item("the last answer tells none", "")]),
    );
    return result;
  };

  async function* shown(results) {
    for await (const result of results) yield show(result);
  }

  const socketUrl = new URL(location.pathname, location.href);
  socketUrl.protocol = location.protocol === "https:" ? "wss:" : "ws:";

  const fetchResult = GraphiQL.createFetcher({
    url: location.pathname,
    subscriptionUrl: socketUrl.href,
    enableIncrementalDelivery: false,
  });

  const fetcher = async (operation, options) => {
    const result = await fetchResult(operation, options);
    if (operation.operationName === "IntrospectionQuery") return result;
    return Symbol.asyncIterator in result ? shown(result) : show(result);
  };

  const offered = Array.from(document.querySelectorAll("template.tab"), (template) => ({
    query: template.content.textContent,
  }));

  // A link's own operation comes before those. Without variables of its own it has none, rather than
  // those of the last visit.
  const address = new URLSearchParams(location.search);
  const linked = address.has("query")
    ? { query: address.get("query"), variables: address.get("variables") ?? "" }
    : null;
  const tabs = linked ? [linked, ...offered] : offered;

  ReactDOM.createRoot(document.getElementById("graphiql")).render(
    React.createElement(GraphiQL, {
      fetcher,
      ...linked,
      defaultTabs: tabs,
      defaultQuery: offered[0].query,
      isHeadersEditorEnabled: true,
    }, React.createElement(GraphiQL.Logo, null, "")),
  );
})();
