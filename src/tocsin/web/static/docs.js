"use strict";
// Starts Swagger UI on our own description. It asks nobody else: no validator badge, no settings from the address
// bar (they could point it at a stranger's description), and a key typed in is forgotten when the page is left.

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

window.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  persistAuthorization: false,
  queryConfigEnabled: false,
  validatorUrl: null,
});
