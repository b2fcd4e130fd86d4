// Passkeys: the browser signs what a form's data-options ask for, and the form is sent with the answer.
// Where the browser can't, the form stays hidden, and everything else of its page works without this file.
(function () {
  "use strict";
  if (!window.PublicKeyCredential || !PublicKeyCredential.parseRequestOptionsFromJSON) return;
  document.querySelectorAll("[data-without-passkeys]").forEach((words) => { words.hidden = true; });
  document.querySelectorAll("form[data-passkey]").forEach((form) => {
    const failed = form.querySelector("[data-failed]");
    let signed = false;
    form.closest("[hidden]").hidden = false;
    window.addEventListener("pageshow", () => { signed = false; });
    form.addEventListener("submit", async (event) => {
      if (signed) return;
      event.preventDefault();
      event.stopPropagation(); // it is not sent yet
      failed.hidden = true;
      const options = JSON.parse(form.dataset.options);
      try {
        const credential = form.dataset.passkey === "create"
          ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) })
          : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });
        form.elements.credential.value = JSON.stringify(credential);
        signed = true;
        form.requestSubmit();
      } catch (error) {
        failed.hidden = false;
        failed.focus();
      }
    });
  });
})();
