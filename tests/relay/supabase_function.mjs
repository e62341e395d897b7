// A function as it is written for Supabase's send-SMS hook. Only its first import differs there: it is an address.
import { Webhook } from "standardwebhooks";

const headers = { "Content-Type": "application/json" };

Deno.serve(async (request) => {
  const payload = await request.text();
  const secret = Deno.env.get("SEND_SMS_HOOK_SECRET").replace("v1,whsec_", "");
  try {
    const { user, sms } = new Webhook(secret).verify(payload, Object.fromEntries(request.headers));
    const response = await fetch(Deno.env.get("SMS_API_URL"), {
      method: "POST",
      headers,
      body: JSON.stringify({ to: `+${user.phone}`, text: `Your code is ${sms.otp}` }),
    });
    if (!response.ok) throw new Error(`the API answers ${response.status}`);
    return new Response("{}", { status: 200, headers });
  } catch (error) {
    return new Response(JSON.stringify({ error: { http_code: 500, message: error.message } }), { status: 500, headers });
  }
});
