/* Proxies for the hubs of this application; needs jQuery and jquery.signalR before it. */
(function ($) {
  "use strict";
  if (typeof $.signalR !== "function") {
    throw new Error("SignalR is not loaded: put jquery.signalR in front of this script.");
  }

  // Script name and server name of every method, by hub.
  var hubs = /*HUBS*/ {};

  function proxyOf(connection, name) {
    var proxy = connection.createHubProxy(name);
    proxy.client = {};
    proxy.server = {};
    $.each(hubs[name], function (scriptName, serverName) {
      proxy.server[scriptName] = function () {
        return proxy.invoke.apply(proxy, [serverName].concat($.makeArray(arguments)));
      };
    });
    return proxy;
  }

  // What was subscribed is remembered, because the same functions take it back.
  function subscribe(proxy) {
    proxy.subscribed = [];
    $.each(proxy.client, function (name, callback) {
      if (Object.prototype.hasOwnProperty.call(proxy.client, name) && typeof callback === "function") {
        var wrapper = function () { callback.apply(proxy, $.makeArray(arguments)); };
        proxy.on(name, wrapper, callback);
        proxy.subscribed.push([name, wrapper, callback]);
      }
    });
  }

  function unsubscribe(proxy) {
    $.each(proxy.subscribed || [], function (_, s) { proxy.off(s[0], s[1], s[2]); });
    proxy.subscribed = [];
  }

  $.hubConnection.prototype.createHubProxies = function () {
    var connection = this, proxies = {};
    $.each(hubs, function (name) { proxies[name] = proxyOf(connection, name); });
    connection.starting(function () {
      $.each(proxies, function (_, proxy) { subscribe(proxy); });
      connection._registerSubscribedHubs();
    }).disconnected(function () {
      $.each(proxies, function (_, proxy) { unsubscribe(proxy); });
    });
    return proxies;
  };

  $.signalR.hub = $.hubConnection(/*BASE*/ "", { useDefaultPath: false });
  $.extend($.signalR, $.signalR.hub.createHubProxies());
}(window.jQuery));
