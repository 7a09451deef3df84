// Passkeys: fills the form's `credential` with what the authenticator answered, and sends the form.
// Without this script, or without passkeys, the forms ask for a password and nothing is missing.
"use strict";

const bytes = (text) =>
  Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (character) => character.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

async function ask(form) {
  const answer = await fetch(form.dataset.options, {
    method: "POST",
    headers: { Accept: "application/json" },
    body: new URLSearchParams(new FormData(form)),
  });
  const document = await answer.json();
  if (!answer.ok) throw new Error(document.detail);
  return document;
}

async function make(options) {
  options.challenge = bytes(options.challenge);
  options.user.id = bytes(options.user.id);
  for (const known of options.excludeCredentials ?? []) known.id = bytes(known.id);
  const made = await navigator.credentials.create({ publicKey: options });
  return {
    id: made.id,
    rawId: text(made.rawId),
    type: made.type,
    response: {
      clientDataJSON: text(made.response.clientDataJSON),
      attestationObject: text(made.response.attestationObject),
      transports: made.response.getTransports?.() ?? [],
    },
  };
}

async function use(options) {
  options.challenge = bytes(options.challenge);
  const used = await navigator.credentials.get({ publicKey: options });
  return {
    id: used.id,
    rawId: text(used.rawId),
    type: used.type,
    response: {
      clientDataJSON: text(used.response.clientDataJSON),
      authenticatorData: text(used.response.authenticatorData),
      signature: text(used.response.signature),
      userHandle: used.response.userHandle ? text(used.response.userHandle) : null,
    },
  };
}

function prepare(form) {
  const offer = form.querySelector("[data-passkey]");
  const button = offer.querySelector("button");
  const status = offer.querySelector("[role=status]");
  offer.hidden = false;
  button.addEventListener("click", async () => {
    button.disabled = true;
    status.textContent = "";
    try {
      const options = await ask(form);
      const answer = await (options.user ? make(options) : use(options));
      form.elements.credential.value = JSON.stringify(answer);
      form.submit();
    } catch (error) {
      // The browser says nothing about why a person did not go through with it, and rightly so.
      const cancelled = error instanceof DOMException;
      status.textContent = cancelled ? status.dataset.cancelled : error.message;
      button.disabled = false;
    }
  });
}

if (window.PublicKeyCredential && navigator.credentials) {
  for (const form of document.querySelectorAll("form[data-options]")) prepare(form);
}
